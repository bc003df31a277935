#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace eisbach::checkpoint {

// The safetensors format (https://github.com/huggingface/safetensors),
// little-endian:
//
//   u64     bytes of the header, at most 100 MB
//   header  JSON: {"name": {"dtype": "F32", "shape": [2, 3],
//           "data_offsets": [begin, end]}, ..., "__metadata__": {"k": "v"}},
//           padded with spaces
//   data    the tensors' bytes, row-major, without holes; offsets count from
//           the end of the header
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;
inline constexpr absl::string_view kSafetensorsMetadata = "__metadata__";

// One tensor of a file.
struct SafetensorsEntry {
  std::string name;
  std::string dtype_name;      // as the file spells it: "BF16"
  std::optional<DType> dtype;  // none for a type that we have no tensors of
  Shape shape;
  size_t begin;  // bytes, from the end of the header
  size_t end;

  size_t bytes() const { return end - begin; }
};

absl::string_view SafetensorsName(DType dtype);  // "F32", "BF16", ...
std::optional<DType> DTypeFromSafetensors(absl::string_view name);

// Bytes of an element of any type of whole bytes that the format knows; none
// for others.
std::optional<size_t> SafetensorsElementBytes(absl::string_view name);

}  // namespace eisbach::checkpoint
