#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "checkpoint/saved_slice.h"
#include "checkpoint/stored_tensor.h"
#include "tensor/tensor.h"

namespace eisbach::checkpoint {

// What a rank writes of a slice: a box of it.
struct Piece {
  SavedSlice saved;
  Tensor view;  // flat, of saved.box
};

// Share `share` of `shares` of all slices in `stored` that this rank is primary
// for, as far as they are its own, without those that are empty. Ranks that
// hold the same (data replicas) each take another share; all together have
// every element once. Shares are as large as each other but for a row.
absl::StatusOr<std::vector<Piece>> PiecesOf(
    absl::Span<const StoredTensor> stored, int share, int shares);

// Of the pieces, as f32.
int64_t BytesInFile(absl::Span<const Piece> pieces);

// Among how many of `replicas` ranks slices of `bytes` are divided, so that no
// file is smaller than `least`, if there is more than one: at least 1.
int SharesOf(int64_t bytes, int replicas, int64_t least);

}  // namespace eisbach::checkpoint
