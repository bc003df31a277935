#pragma once

#include <string>

#include "nn/module.h"
#include "ops/attention.h"
#include "ops/norm.h"

namespace eisbach::nn {

// RMS norm of each query and each key head, before their rotation: one weight
// [head_dim] for all query heads, one for all key heads.
class HeadNorm final : public Module {
 public:
  // The parameters are `name`.query_norm.weight and `name`.key_norm.weight.
  // Ranks of a tensor group hold them whole and see a part of their gradients,
  // that of their own heads; `primary` counts them.
  HeadNorm(const std::string& name, int64_t head_dim, double eps, bool primary,
           ops::NormKind kind = ops::NormKind::kRms);

  // qkv: [B, T, width] as ops/attention.h packs it.
  absl::StatusOr<Tensor> Forward(const Tensor& qkv,
                                 const ops::AttentionHeads& heads,
                                 const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override;

 private:
  ops::NormKind kind_;
  double eps_;
  Parameter query_;
  Parameter key_;
};

}  // namespace eisbach::nn
