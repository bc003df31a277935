#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/manifest.h"

namespace eisbach::checkpoint {

struct ManifestText {
  Manifest manifest;
  std::string text;  // of the file
  uint64_t hash;     // ContentHash of that
};

// The manifest of the checkpoint in `folder`, of a name that fits its step.
// Errors name the file or the folder.
absl::StatusOr<ManifestText> ReadManifest(const std::string& folder);

}  // namespace eisbach::checkpoint
