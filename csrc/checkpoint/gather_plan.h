#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "checkpoint/box.h"
#include "tensor/parameter.h"

namespace eisbach::checkpoint {

// A primary slice of a rank of the model group.
struct GatherPiece {
  int rank;
  int index;  // in the rank's list
  Box box;
};

// A logical tensor and who holds its pieces, by (rank, index).
struct GatherTensor {
  std::string name;
  Shape shape;
  std::vector<GatherPiece> pieces;
};

// The primary slices of `parameters` and where they are, in order.
struct LocalPiece {
  const Parameter* parameter;
  const LogicalSlice* slice;
};
std::vector<LocalPiece> PrimaryPieces(absl::Span<Parameter* const> parameters);

// A rank's list as text, for the plan.
std::string DescribePieces(absl::Span<const LocalPiece> pieces);

// The plan from the descriptions of all ranks: the same on each of them. Ranks
// are visited in `order`; a tensor comes where its first piece does. An error
// names a tensor that is not covered exactly once.
absl::StatusOr<std::vector<GatherTensor>> MakeGatherPlan(
    absl::Span<const std::string> descriptions, absl::Span<const int> order);

}  // namespace eisbach::checkpoint
