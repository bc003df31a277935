#include "nn/attention.h"

#include <utility>

#include "autograd/functions/attention.h"
#include "autograd/recompute.h"
#include "core/status_macros.h"
#include "nn/cache.h"
#include "ops/embedding.h"
#include "ops/rope.h"

namespace eisbach::nn {

Attention::Attention(Parts parts) : parts_(std::move(parts)) {}

absl::StatusOr<Tensor> Attention::Forward(const Tensor& x,
                                          const ForwardContext& context) {
  Tensor out;
  if (parts_.recompute) {
    bool trains = false;
    const auto look = [&](Parameter& p) { trains |= p.trains(); };
    parts_.qkv->VisitParameters(look);
    if (parts_.head_norm != nullptr) parts_.head_norm->VisitParameters(look);
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
        qkv, autograd::Rope(qkv, heads, parts_.rope_table, context.stream,
                            context.starts));
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
    // The angles of the tokens' positions, a row a token.
    const Tensor& table = parts_.rope_table;
    EISBACH_ASSIGN_OR_RETURN(
        Tensor rows,
        table.View(Shape{table.dim(0), table.dim(1) * table.dim(2)}));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor angles,
        ops::EmbeddingForward(cached.places.positions, rows, /*first_row=*/0,
                              rows.dim(0), context.stream));
    EISBACH_ASSIGN_OR_RETURN(
        angles, angles.View(Shape{angles.dim(0), table.dim(1), table.dim(2)}));
    EISBACH_RETURN_IF_ERROR(
        ops::Rope(qkv, heads, angles, /*inverse=*/false, context.stream));
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
