#include "nn/head.h"

#include "autograd/functions/linear.h"
#include "autograd/functions/softcap.h"
#include "core/status_macros.h"

namespace eisbach::nn {

absl::StatusOr<Tensor> PlainHead::Loss(const Tensor& x, const Tensor& targets,
                                       float scale,
                                       const ForwardContext& context) {
  return autograd::LinearCrossEntropy(
      x, weight_, targets, autograd::WholeVocabulary(weight_.data().dim(0)),
      {scale, context.loss_scale, context.counted}, context.stream,
      autograd::kLogitsBytes, cap_);
}

absl::StatusOr<Tensor> PlainHead::Logits(const Tensor& x,
                                         const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor logits,
      autograd::Linear(x, weight_, nullptr, false, context.stream));
  return autograd::Softcap(logits, cap_, context.stream);
}

}  // namespace eisbach::nn
