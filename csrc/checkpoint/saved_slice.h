#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "checkpoint/box.h"
#include "checkpoint/safetensors_file.h"
#include "core/shape.h"

namespace eisbach::checkpoint {

// A slice of a logical tensor as a file of a checkpoint holds it. Its name
// there is that of the logical tensor, with "optimizer.m/" before it for state
// m, and with "@row,column" after it for one that starts elsewhere or is not
// the whole tensor.
struct SavedSlice {
  std::string part;
  std::string name;  // of the logical tensor
  Shape shape;       // of the logical tensor
  Box box;

  std::string Key() const;
};

// The metadata text that says of each tensor of a file what it is, and back.
inline constexpr char kSlicesKey[] = "slices";
std::string FormatSlices(absl::Span<const SavedSlice> slices);
// InvalidArgument when the list and the file's tensors are not the same, or a
// tensor is not f32 of its slice's extent.
absl::StatusOr<std::vector<SavedSlice>> ReadSlices(const SafetensorsFile& file);

}  // namespace eisbach::checkpoint
