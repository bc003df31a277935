#include "nn/attention.h"

#include <utility>

#include "autograd/functions/attention.h"
#include "core/status_macros.h"

namespace eisbach::nn {

Attention::Attention(Parts parts) : parts_(std::move(parts)) {}

absl::StatusOr<Tensor> Attention::Forward(const Tensor& x,
                                          const ForwardContext& context) {
  const ops::AttentionHeads& heads = parts_.heads;
  EISBACH_ASSIGN_OR_RETURN(Tensor qkv, parts_.qkv->Forward(x, context));
  if (parts_.head_norm != nullptr) {
    EISBACH_ASSIGN_OR_RETURN(qkv,
                             parts_.head_norm->Forward(qkv, heads, context));
  }
  if (parts_.rope_table.defined()) {
    EISBACH_ASSIGN_OR_RETURN(
        qkv, autograd::Rope(qkv, heads, parts_.rope_table, context.stream,
                            context.starts));
  }
  ops::AttentionOptions options = parts_.options;
  options.starts = context.starts;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor out, autograd::Attention(qkv, heads, context.stream, options));
  return parts_.output->Forward(out, context);
}

void Attention::VisitParameters(const Visitor& visit) {
  parts_.qkv->VisitParameters(visit);
  if (parts_.head_norm != nullptr) parts_.head_norm->VisitParameters(visit);
  parts_.output->VisitParameters(visit);
}

}  // namespace eisbach::nn
