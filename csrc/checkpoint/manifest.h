#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach::checkpoint {

inline constexpr absl::string_view kManifestName = "manifest.json";

// A file of a checkpoint, by its name in the folder, and its size.
struct ManifestFile {
  std::string name;
  int64_t bytes;

  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;
};

// What a checkpoint folder holds, as JSON in manifest.json:
//
//   {"format": "eisbach.checkpoint", "version": 1, "step": 400,
//    "layout": "pipeline=2 x data=2 x context=1 x tensor=1",
//    "values": {"seed": "1234"},
//    "files": [{"name": "rank0.safetensors", "bytes": 1024}]}
//
// It is written when all files are in place: a folder with a manifest is a
// whole checkpoint, one without is none.
struct Manifest {
  int64_t step;        // steps done
  std::string layout;  // Mesh::ToString
  // What the writer wants to find again or to agree on resume.
  std::map<std::string, std::string> values;
  std::vector<ManifestFile> files;

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// The entry for a file that is in the folder.
absl::StatusOr<ManifestFile> DescribeFile(absl::string_view folder,
                                          absl::string_view name);

// Complete and durable, or not at all.
absl::Status WriteManifest(absl::string_view folder, const Manifest& manifest);

// NotFound when the folder has no manifest; InvalidArgument when it is damaged
// or of another version, or when a file is missing or has another size.
absl::StatusOr<Manifest> ReadManifest(absl::string_view folder);

}  // namespace eisbach::checkpoint
