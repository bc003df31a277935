#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/safetensors.h"

namespace eisbach::checkpoint {

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

// Reads the JSON of a header in front of `data_bytes` of data, and checks all
// of it. InvalidArgument says what is wrong.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json,
                                                         size_t data_bytes);

// The JSON of a header, padded to a multiple of 8 bytes. InvalidArgument when
// a name is no UTF-8, or when the header would be too large.
absl::StatusOr<std::string> FormatSafetensorsHeader(
    const SafetensorsHeader& header);

}  // namespace eisbach::checkpoint
