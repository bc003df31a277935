#pragma once

#include "autograd/functions/cross_entropy.h"
#include "nn/module.h"

namespace eisbach::nn {

// The language-model head: logits = x · weight^T over this rank's part of the
// vocabulary, bounded by a cap where there is one (ops/softcap.h), and the
// cross-entropy over all of it.
class Head : public Module {
 public:
  // loss (f64 [1]) = scale * sum of the tokens' losses; see
  // autograd/functions/cross_entropy.h. x: [B, T, H], targets: i32 [B, T].
  virtual absl::StatusOr<Tensor> Loss(const Tensor& x, const Tensor& targets,
                                      float scale,
                                      const ForwardContext& context) = 0;
  // The logits of the whole vocabulary, [B, T, vocab], without padding.
  virtual absl::StatusOr<Tensor> Logits(const Tensor& x,
                                        const ForwardContext& context) = 0;
};

// The head of one rank. The weight is made elsewhere: it may be the
// embedding's.
class PlainHead final : public Head {
 public:
  // cap: of the logits; 0: none.
  explicit PlainHead(Parameter& weight, double cap = 0)
      : weight_(weight), cap_(cap) {}
  absl::StatusOr<Tensor> Loss(const Tensor& x, const Tensor& targets,
                              float scale,
                              const ForwardContext& context) override;
  absl::StatusOr<Tensor> Logits(const Tensor& x,
                                const ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override { visit(weight_); }

 private:
  Parameter& weight_;  // [vocab, hidden]
  double cap_;
};

}  // namespace eisbach::nn
