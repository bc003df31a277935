#include "nn/attention.h"

#include <utility>

#include "autograd/functions/attention.h"
#include "core/status_macros.h"

namespace eisbach::nn {

Attention::Attention(std::unique_ptr<Projection> qkv,
                     std::unique_ptr<Projection> output,
                     const ops::AttentionHeads& heads, Tensor rope_table)
    : qkv_(std::move(qkv)),
      output_(std::move(output)),
      heads_(heads),
      rope_table_(std::move(rope_table)) {}

absl::StatusOr<Tensor> Attention::Forward(const Tensor& x,
                                          const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor qkv, qkv_->Forward(x, context));
  if (rope_table_.defined()) {
    EISBACH_ASSIGN_OR_RETURN(
        qkv, autograd::Rope(qkv, heads_, rope_table_, context.stream));
  }
  EISBACH_ASSIGN_OR_RETURN(Tensor out,
                           autograd::Attention(qkv, heads_, context.stream));
  return output_->Forward(out, context);
}

void Attention::VisitParameters(const Visitor& visit) {
  qkv_->VisitParameters(visit);
  output_->VisitParameters(visit);
}

}  // namespace eisbach::nn
