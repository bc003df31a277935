#include "nn/embedding.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/functions/embedding.h"
#include "core/status_macros.h"
#include "nn/cache.h"
#include "nn/sequence_part.h"
#include "ops/document_starts.h"
#include "ops/embedding.h"

namespace eisbach::nn {

ParamSpec TableSpec(const std::string& name, const Range& rows, int64_t hidden,
                    float stddev) {
  ParamSpec spec =
      WholeParam(absl::StrCat(name, ".weight"), Shape{rows.total, hidden},
                 {Init::Kind::kNormal, stddev}, /*decay=*/true);
  spec.shape = Shape{rows.count, hidden};
  spec.table = true;
  const int64_t valid =
      std::clamp<int64_t>(rows.total - rows.start, 0, rows.count);
  if (valid == 0) {
    spec.slices.clear();
  } else {
    spec.slices[0].start = Shape{rows.start, 0};
    spec.slices[0].extent = Shape{valid, hidden};
  }
  return spec;
}

absl::StatusOr<Tensor> Embedding::Forward(const Tensor& ids,
                                          const ForwardContext& context) {
  return autograd::Embedding(ids, table_.weight, /*first_row=*/0,
                             table_.weight.spec().shape[0], context.stream,
                             table_.RowsIn(context));
}

namespace {

// Of all tokens [B, T] that ranks share, each one's place in its document.
absl::StatusOr<Tensor> PositionsOf(const TokenShare& share,
                                   const ForwardContext& context) {
  if (context.part != nullptr) return context.part->document_positions;
  if (context.starts.defined()) {
    return ops::DocumentPositions(context.starts, context.stream);
  }
  return ops::RowPositions(Shape{share.samples, share.positions},
                           context.stream);
}

}  // namespace

PositionEmbedding::PositionEmbedding(const std::string& name, int64_t context,
                                     int64_t hidden, float stddev, bool primary)
    : weight_(TableSpec(name, Range::Whole(context), hidden, stddev)) {
  weight_.mutable_spec().slices[0].primary = primary;
}

absl::StatusOr<Tensor> PositionEmbedding::Forward(
    const Tensor& x, const ForwardContext& context) {
  if (context.share) return ForwardShare(x, context);
  if (context.part != nullptr) {
    return autograd::AddPositionAt(x, weight_, context.part->document_positions,
                                   context.stream);
  }
  if (context.cached == nullptr) {
    return autograd::AddPosition(x, weight_, context.stream, context.starts);
  }
  EISBACH_RETURN_IF_ERROR(weight_.BeforeUse());
  EISBACH_ASSIGN_OR_RETURN(
      Tensor rows, ops::EmbeddingForward(
                       context.cached->places.positions, weight_.data(),
                       /*first_row=*/0, weight_.data().dim(0), context.stream));
  EISBACH_RETURN_IF_ERROR(ops::AddPosition(x, rows, context.stream));
  return x;
}

absl::StatusOr<Tensor> PositionEmbedding::ForwardShare(
    const Tensor& x, const ForwardContext& context) {
  const TokenShare& share = *context.share;
  EISBACH_ASSIGN_OR_RETURN(Tensor positions, PositionsOf(share, context));
  EISBACH_ASSIGN_OR_RETURN(positions,
                           positions.View(Shape{positions.elements()}));
  EISBACH_ASSIGN_OR_RETURN(positions,
                           positions.Narrow(0, share.first, share.count));
  EISBACH_ASSIGN_OR_RETURN(positions, positions.View(Shape{1, share.count}));
  return autograd::AddPositionAt(x, weight_, positions, context.stream);
}

}  // namespace eisbach::nn
