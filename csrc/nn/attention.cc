#include "nn/attention.h"

#include <utility>

#include "autograd/functions/attention.h"
#include "autograd/recompute.h"
#include "core/status_macros.h"
#include "nn/cache.h"
#include "nn/sequence_part.h"
#include "ops/rope.h"

namespace eisbach::nn {

Attention::Attention(Parts parts) : parts_(std::move(parts)) {}

absl::StatusOr<Tensor> Attention::Forward(const Tensor& x,
                                          const ForwardContext& context) {
  Tensor out;
  if (parts_.recompute) {
    const bool trains = parts_.qkv->Trains() || (parts_.head_norm != nullptr &&
                                                 parts_.head_norm->Trains());
    const auto heads = [this, context](const Tensor& in) {
      return Heads(in, context);
    };
    EISBACH_ASSIGN_OR_RETURN(out, autograd::RecomputeOne(heads, x, trains));
  } else {
    EISBACH_ASSIGN_OR_RETURN(out, Heads(x, context));
  }
  return parts_.output->Forward(out, context);
}

absl::StatusOr<Tensor> Attention::Heads(const Tensor& x,
                                        const ForwardContext& context) {
  const ops::AttentionHeads& heads = parts_.heads;
  EISBACH_ASSIGN_OR_RETURN(Tensor qkv, parts_.qkv->Forward(x, context));
  if (parts_.head_norm != nullptr) {
    EISBACH_ASSIGN_OR_RETURN(qkv,
                             parts_.head_norm->Forward(qkv, heads, context));
  }
  if (context.cached != nullptr) return ForwardCached(qkv, context);
  if (parts_.rope_table.defined()) {
    EISBACH_ASSIGN_OR_RETURN(
        qkv, context.part == nullptr
                 ? autograd::Rope(qkv, heads, parts_.rope_table, context.stream,
                                  context.starts)
                 : autograd::RopeAt(qkv, heads, parts_.rope_table,
                                    context.part->document_positions,
                                    context.stream));
  }
  if (context.part != nullptr) {
    return context.part->attention(qkv, heads, parts_.options, context.stream);
  }
  ops::AttentionOptions options = parts_.options;
  options.starts = context.starts;
  return autograd::Attention(qkv, heads, context.stream, options);
}

absl::StatusOr<Tensor> Attention::ForwardCached(const Tensor& qkv,
                                                const ForwardContext& context) {
  const ops::AttentionHeads& heads = parts_.heads;
  const CachedTokens& cached = *context.cached;
  if (parts_.rope_table.defined()) {
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor positions,
        cached.places.positions.View(Shape{qkv.dim(0), qkv.dim(1)}));
    EISBACH_RETURN_IF_ERROR(ops::RopeAt(qkv, heads, parts_.rope_table,
                                        positions, /*inverse=*/false,
                                        context.stream));
  }
  return ops::CachedAttention(qkv, heads, cached.cache.layer(parts_.layer),
                              cached.places, parts_.options, context.stream);
}

void Attention::VisitParameters(const Visitor& visit) {
  parts_.qkv->VisitParameters(visit);
  if (parts_.head_norm != nullptr) parts_.head_norm->VisitParameters(visit);
  parts_.output->VisitParameters(visit);
}

}  // namespace eisbach::nn
