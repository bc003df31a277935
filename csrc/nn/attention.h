#pragma once

#include <memory>

#include "nn/module.h"
#include "ops/attention.h"

namespace eisbach::nn {

// Causal self-attention: output(attention(rope(qkv(x)))). The projections may
// be divided among ranks; `heads` counts what this rank holds.
class Attention final : public Module {
 public:
  // `rope_table` is undefined for learned positions; see ops/rope.h.
  Attention(std::unique_ptr<Projection> qkv, std::unique_ptr<Projection> output,
            const ops::AttentionHeads& heads, Tensor rope_table);

  // x, y: [B, T, H].
  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override;

 private:
  std::unique_ptr<Projection> qkv_;
  std::unique_ptr<Projection> output_;
  ops::AttentionHeads heads_;
  Tensor rope_table_;
};

}  // namespace eisbach::nn
