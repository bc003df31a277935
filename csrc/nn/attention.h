#pragma once

#include <memory>

#include "nn/head_norm.h"
#include "nn/module.h"
#include "ops/attention.h"

namespace eisbach::nn {

// Causal self-attention: output(attention(rope(head_norm(qkv(x))))), each
// document for itself (ForwardContext::starts). The projections may be divided
// among ranks; `heads` counts what this rank holds.
class Attention final : public Module {
 public:
  struct Parts {
    std::unique_ptr<Projection> qkv;
    std::unique_ptr<QkvNorm> head_norm;  // or null
    std::unique_ptr<Projection> output;
    ops::AttentionHeads heads;
    Tensor rope_table;  // undefined without rotary positions; see ops/rope.h
    int64_t layer = 0;  // its place in a KeyValueCache
    ops::AttentionOptions options{};  // the same for all batches: no starts
    // Backward computes what `output` takes once more (autograd/recompute.h).
    bool recompute = false;
  };
  explicit Attention(Parts parts);

  // x, y: [B, T, H].
  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override;

 private:
  // What `output` takes.
  absl::StatusOr<Tensor> Heads(const Tensor& x, const ForwardContext& context);
  // The same of tokens that follow others.
  absl::StatusOr<Tensor> ForwardCached(const Tensor& qkv,
                                       const ForwardContext& context);

  Parts parts_;
};

}  // namespace eisbach::nn
