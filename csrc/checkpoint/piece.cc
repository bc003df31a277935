#include "checkpoint/piece.h"

#include <algorithm>
#include <utility>

#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

bool IsWritten(const LogicalSlice& slice) {
  return slice.primary && SliceElements(slice) > 0;
}

int64_t WrittenElements(absl::Span<const StoredTensor> stored) {
  int64_t elements = 0;
  for (const StoredTensor& tensor : stored) {
    for (const LogicalSlice& slice : tensor.spec->slices) {
      if (IsWritten(slice)) elements += SliceElements(slice);
    }
  }
  return elements;
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
  const int64_t all = WrittenElements(stored);
  const int64_t begin = all / shares * share + all % shares * share / shares;
  const int64_t end =
      all / shares * (share + 1) + all % shares * (share + 1) / shares;
  std::vector<Piece> pieces;
  int64_t offset = 0;  // of the slice among all that are written
  for (const StoredTensor& tensor : stored) {
    for (const LogicalSlice& slice : tensor.spec->slices) {
      if (!IsWritten(slice)) continue;
      Box box = BoxOf(slice);
      const int64_t rows = box.extent[0];
      const int64_t width = SliceElements(slice) / rows;
      const int64_t first = RowsBefore(begin, offset, width, rows);
      const int64_t last = RowsBefore(end, offset, width, rows);
      offset += SliceElements(slice);
      if (first == last) continue;
      EISBACH_ASSIGN_OR_RETURN(
          Tensor view, tensor.local.Narrow(
                           0, SliceOffset(*tensor.spec, slice) + first * width,
                           (last - first) * width));
      box.start.Set(0, box.start[0] + first);
      box.extent.Set(0, last - first);
      pieces.push_back(
          {{tensor.part, slice.name, slice.shape, box}, std::move(view)});
    }
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
