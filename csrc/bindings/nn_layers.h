#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "bindings/variable.h"
#include "nn/attention.h"
#include "nn/block.h"
#include "nn/mlp.h"

// Layers of one rank from plain sizes, as Python makes them. ValueError where
// they do not fit.
namespace eisbach::bindings {

void CheckSizes(const std::string& name, std::initializer_list<int64_t> sizes);
// Of a number that is 0 or more; `name` begins the message.
void CheckNotBelow0(const std::string& name, const char* what, double value);
ops::NormKind ParseNorm(const std::string& kind);

std::shared_ptr<nn::Attention> MakeAttention(const std::string& name,
                                             int64_t hidden, int64_t heads,
                                             std::optional<int64_t> kv_heads,
                                             bool bias, float stddev,
                                             float output_stddev,
                                             const Variable* rope);

std::shared_ptr<nn::Mlp> MakeMlp(const std::string& name, int64_t hidden,
                                 int64_t ffn_hidden,
                                 const std::string& activation, bool bias,
                                 float stddev, float output_stddev);

std::shared_ptr<nn::Block> MakeBlock(
    const std::string& name, int64_t hidden, int64_t heads,
    std::optional<int64_t> kv_heads, std::optional<int64_t> ffn_hidden,
    const std::string& norm, double eps, const std::string& activation,
    bool bias, float stddev, float output_stddev, const Variable* rope,
    double dropout, bool recompute);

Variable RopeTable(int64_t context, int64_t head_dim, Device& device,
                   double theta);

}  // namespace eisbach::bindings
