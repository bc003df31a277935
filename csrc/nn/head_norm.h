#pragma once

#include <string>

#include "nn/module.h"
#include "ops/attention.h"
#include "ops/norm.h"

namespace eisbach::nn {

// RMS norm of queries and keys before their rotation.
class QkvNorm : public Module {
 public:
  // qkv: [B, T, width] as ops/attention.h packs it.
  virtual absl::StatusOr<Tensor> Forward(const Tensor& qkv,
                                         const ops::AttentionHeads& heads,
                                         const ForwardContext& context) = 0;
};

// Of each query and each key head: one weight [head_dim] for all query heads,
// one for all key heads.
class HeadNorm final : public QkvNorm {
 public:
  // The parameters are `name`.query_norm.weight and `name`.key_norm.weight.
  // Ranks of a tensor group hold them whole and see a part of their gradients,
  // that of their own heads; `primary` counts them.
  HeadNorm(const std::string& name, int64_t head_dim, double eps, bool primary,
           ops::NormKind kind = ops::NormKind::kRms);

  absl::StatusOr<Tensor> Forward(const Tensor& qkv,
                                 const ops::AttentionHeads& heads,
                                 const ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override;

 private:
  ops::NormKind kind_;
  double eps_;
  Parameter query_;
  Parameter key_;
};

// The weight of a norm over all heads, [width], on every rank of a tensor
// group, all of which see the same gradient; `primary` counts it.
ParamSpec WidthWeight(std::string name, int64_t width, bool primary,
                      ops::NormKind kind);

// Of all query heads together and of all key heads together (OLMo 2), by
// weights [heads * head_dim] and [kv_heads * head_dim] named as those of
// HeadNorm.
class WidthNorm final : public QkvNorm {
 public:
  WidthNorm(const std::string& name, const ops::AttentionHeads& heads,
            double eps, ops::NormKind kind = ops::NormKind::kRms);

  absl::StatusOr<Tensor> Forward(const Tensor& qkv,
                                 const ops::AttentionHeads& heads,
                                 const ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override;

 private:
  ops::NormKind kind_;
  double eps_;
  Parameter query_;
  Parameter key_;
};

}  // namespace eisbach::nn
