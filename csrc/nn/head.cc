#include "nn/head.h"

#include "autograd/functions/linear.h"
#include "core/status_macros.h"

namespace eisbach::nn {

absl::StatusOr<Tensor> PlainHead::Loss(const Tensor& x, const Tensor& targets,
                                       float scale,
                                       const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor logits, Logits(x, context));
  return autograd::CrossEntropy(logits, targets, {0, logits.dim(-1), nullptr},
                                scale, context.stream);
}

absl::StatusOr<Tensor> PlainHead::Logits(const Tensor& x,
                                         const ForwardContext& context) {
  return autograd::Linear(x, weight_, nullptr, false, context.stream);
}

}  // namespace eisbach::nn
