#include "parallel/context/zigzag.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::parallel {
namespace {

// `count` tokens of [B, T, ...] tensors.
absl::Status CopyTokens(const Tensor& from, int64_t from_row, const Tensor& to,
                        int64_t to_row, int64_t count, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor source,
                           from.Narrow(1, from_row, count));
  EISBACH_ASSIGN_OR_RETURN(const Tensor target, to.Narrow(1, to_row, count));
  return ops::Copy(source, target, stream);
}

// Rank `rank`'s part of [n, B, T / n, ...].
absl::StatusOr<Tensor> PartOf(const Tensor& parts, int rank) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor one, parts.Narrow(0, rank, 1));
  return one.View(Shape(parts.shape().dims().subspan(1)));
}

}  // namespace

absl::Status Zigzag::Validate(int64_t length, int ranks) {
  const int64_t chunks = int64_t{kChunks} * ranks;
  if (ranks == 1 || (length > 0 && length % chunks == 0)) {
    return absl::OkStatus();
  }
  const int64_t nearest =
      std::max<int64_t>(1, (length + chunks / 2) / chunks) * chunks;
  return absl::InvalidArgumentError(absl::StrCat(
      "context=", ranks, " divides rows into 2 x ", ranks, " = ", chunks,
      " chunks, and ", chunks, " does not divide ", length,
      " tokens (parallel.context, model.context); nearest that works: ",
      nearest, " tokens"));
}

std::array<ops::AttentionSpan, Zigzag::kChunks> Zigzag::SpansOf(
    int rank) const {
  return {{{0, chunk_, rank * chunk_},
           {chunk_, chunk_, (kChunks * ranks_ - 1 - rank) * chunk_}}};
}

absl::StatusOr<Tensor> Zigzag::Take(const Tensor& whole, Stream& stream) const {
  Shape shape = whole.shape();
  shape.Set(1, part());
  EISBACH_ASSIGN_OR_RETURN(Tensor mine,
                           Tensor::Empty(shape, whole.dtype(), whole.device()));
  for (const ops::AttentionSpan& span : Mine()) {
    EISBACH_RETURN_IF_ERROR(
        CopyTokens(whole, span.position, mine, span.row, span.count, stream));
  }
  return mine;
}

absl::StatusOr<Tensor> Zigzag::Join(const Tensor& parts, Stream& stream) const {
  Shape shape(parts.shape().dims().subspan(1));
  shape.Set(1, length());
  EISBACH_ASSIGN_OR_RETURN(Tensor whole,
                           Tensor::Empty(shape, parts.dtype(), parts.device()));
  for (int rank = 0; rank < ranks_; ++rank) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor part, PartOf(parts, rank));
    for (const ops::AttentionSpan& span : SpansOf(rank)) {
      EISBACH_RETURN_IF_ERROR(
          CopyTokens(part, span.row, whole, span.position, span.count, stream));
    }
  }
  return whole;
}

absl::StatusOr<Tensor> Zigzag::Cut(const Tensor& whole, Stream& stream) const {
  std::vector<int64_t> dims{ranks_};
  for (int64_t dim : whole.shape().dims()) dims.push_back(dim);
  dims[2] = part();
  EISBACH_ASSIGN_OR_RETURN(
      Tensor parts, Tensor::Empty(Shape(dims), whole.dtype(), whole.device()));
  for (int rank = 0; rank < ranks_; ++rank) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor part, PartOf(parts, rank));
    for (const ops::AttentionSpan& span : SpansOf(rank)) {
      EISBACH_RETURN_IF_ERROR(
          CopyTokens(whole, span.position, part, span.row, span.count, stream));
    }
  }
  return parts;
}

}  // namespace eisbach::parallel
