#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "checkpoint/box.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors_file.h"
#include "core/shape.h"

namespace eisbach::checkpoint {

// A box of a logical tensor, f32, row-major, where a file has it.
struct SavedBox {
  Box box;
  std::span<const std::byte> bytes;  // not aligned
};

// A logical tensor in a checkpoint, or a part of the optimizer's state that is
// laid out as it is, whatever ranks wrote it.
struct SavedTensor {
  std::string part;  // as of SavedSlice
  std::string name;
  Shape shape;
  std::vector<SavedBox> boxes;
  // Whether the boxes cover the shape exactly once, and all files agree on it;
  // the error names the tensor.
  absl::Status whole;

  std::string Key() const;  // "optimizer.m/NAME" for state m, NAME for values
};

// What the files of a checkpoint hold, for one process with no ranks. Files are
// mapped, so memory is taken for what is read alone.
class Contents {
 public:
  // Reads the manifest and the headers; whether the weights are as they were
  // written is Verify's to say. Errors name the file.
  static absl::StatusOr<Contents> Open(const std::string& folder);

  const Manifest& manifest() const { return manifest_; }
  // A stage after another, in the order of the stage's parameters, the value
  // before the optimizer's state. Views live as long as the contents.
  absl::Span<const SavedTensor> tensors() const { return tensors_; }

 private:
  explicit Contents(Manifest manifest) : manifest_(std::move(manifest)) {}

  Manifest manifest_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::vector<SavedTensor> tensors_;
};

// Copies a tensor that is whole to `values`, contiguous.
void CopyWhole(const SavedTensor& tensor, float* values);

// How far two tensors of one shape, both whole, are apart.
struct TensorDifference {
  int64_t elements = 0;  // whose bits differ
  // The largest |a - b| and |a - b| / max(|a|, |b|). Infinite where a value
  // that is not finite has other bits than its counterpart.
  double absolute = 0;
  double relative = 0;
};

// Reads both where they lie, box by box, so layouts may differ and no memory is
// taken.
TensorDifference Difference(const SavedTensor& a, const SavedTensor& b);

}  // namespace eisbach::checkpoint
