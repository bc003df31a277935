#include "checkpoint/piece.h"

#include <algorithm>
#include <utility>

#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

// A box of what is written.
struct Written {
  const StoredTensor* tensor;
  const LogicalSlice* slice;
  BoxAt at;
};

std::vector<Written> AllWritten(absl::Span<const StoredTensor> stored) {
  std::vector<Written> all;
  for (const StoredTensor& tensor : stored) {
    for (const LogicalSlice& slice : tensor.spec->slices) {
      if (!slice.primary) continue;
      for (BoxAt& at : BoxesOf(*tensor.spec, slice, tensor.own)) {
        all.push_back({&tensor, &slice, std::move(at)});
      }
    }
  }
  return all;
}

// How many rows of `width`, the first of which begins at `offset`, begin before
// `end`.
int64_t RowsBefore(int64_t end, int64_t offset, int64_t width, int64_t rows) {
  if (end <= offset) return 0;
  return std::min(rows, (end - offset + width - 1) / width);
}

}  // namespace

absl::StatusOr<std::vector<Piece>> PiecesOf(
    absl::Span<const StoredTensor> stored, int share, int shares) {
  const std::vector<Written> written = AllWritten(stored);
  int64_t all = 0;
  for (const Written& each : written) all += each.at.box.elements();
  const int64_t begin = all / shares * share + all % shares * share / shares;
  const int64_t end =
      all / shares * (share + 1) + all % shares * (share + 1) / shares;
  std::vector<Piece> pieces;
  int64_t offset = 0;  // of the box among all that are written
  for (const Written& each : written) {
    Box box = each.at.box;
    const int64_t rows = box.extent[0];
    const int64_t width = box.elements() / rows;
    const int64_t first = RowsBefore(begin, offset, width, rows);
    const int64_t last = RowsBefore(end, offset, width, rows);
    offset += rows * width;
    if (first == last) continue;
    EISBACH_ASSIGN_OR_RETURN(
        Tensor view,
        each.tensor->local.Narrow(
            0, each.at.offset - each.tensor->own.begin + first * width,
            (last - first) * width));
    box.start.Set(0, box.start[0] + first);
    box.extent.Set(0, last - first);
    pieces.push_back(
        {{each.tensor->part, each.slice->name, each.slice->shape, box},
         std::move(view)});
  }
  return pieces;
}

int64_t BytesInFile(absl::Span<const Piece> pieces) {
  int64_t elements = 0;
  for (const Piece& piece : pieces) elements += piece.view.elements();
  return elements * static_cast<int64_t>(sizeof(float));
}

int SharesOf(int64_t bytes, int replicas, int64_t least) {
  if (least <= 0) return replicas;
  return static_cast<int>(
      std::clamp<int64_t>(bytes / least, 1, static_cast<int64_t>(replicas)));
}

}  // namespace eisbach::checkpoint
