#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "optim/step_guard.h"
#include "optim/step_state.h"
#include "parallel/mesh.h"

namespace eisbach::checkpoint {

inline constexpr int kManifestVersion = 3;
// Of the text: thousands of files and any configuration fit.
inline constexpr size_t kMaxManifestBytes = 64 << 20;

// A file of a checkpoint: what one rank of the model (pipeline x tensor) holds,
// or a share of it. Replicas along data x context hold the same, and write a
// share each; they are numbered from 0, and the first has one always.
struct ManifestFile {
  std::string name;  // in the checkpoint's folder
  int pipeline;
  int tensor;
  int data;
  uint64_t bytes;
  uint64_t hash;  // ContentHash
};

// A checkpoint, told from all others.
struct ManifestId {
  int64_t step;
  uint64_t hash;  // of its manifest

  friend bool operator==(const ManifestId&, const ManifestId&) = default;
};

// What is in a checkpoint: manifest.json.
struct Manifest {
  int64_t step;
  parallel::Coordinates layout;              // sizes of the mesh's axes
  std::vector<std::string> optimizer_state;  // "m", "v"
  std::string config;  // JSON object: what must be the same to load it
  std::string state;   // JSON object: what the caller wants back
  std::optional<optim::LossScale> loss_scale;    // of the next step, in f16
  std::optional<optim::SpikeHistory> history{};  // where steps are judged
  // The one before it: saved last by the same run, or what that went on from.
  std::optional<ManifestId> parent{};
  std::vector<ManifestFile> files{};
  std::string version{};  // of the Eisbach that wrote it
  uint64_t hash = 0;      // of the rest; FormatManifest ignores these two

  ManifestId id() const { return {step, hash}; }
};

parallel::Coordinates LayoutOf(const parallel::Mesh& mesh);

// InvalidArgument when `config` or `state` is no JSON object.
absl::StatusOr<std::string> FormatManifest(const Manifest& manifest);

// The text of a manifest with these members (a JSON object) and, in the last,
// the hash of all others, in place of one that is there.
absl::StatusOr<std::string> SealManifest(absl::string_view members);

// Reads and checks all of it: version, types, files for each stage and tensor
// rank without a gap, plain file names, and that nothing was changed since it
// was written. InvalidArgument says what is wrong.
absl::StatusOr<Manifest> ParseManifest(absl::string_view text);

// A key that two configurations have with other values, or that one has alone.
struct ConfigChange {
  std::string key;                    // "model.heads", "data.train[0].weight"
  std::optional<std::string> before;  // JSON, cut off where it is long
  std::optional<std::string> after;
};

// Both are JSON objects.
absl::StatusOr<std::vector<ConfigChange>> ConfigChanges(
    absl::string_view before, absl::string_view after);

// Both are JSON objects. InvalidArgument names each key that differs, with both
// values.
absl::Status CheckConfig(absl::string_view saved, absl::string_view asked);

}  // namespace eisbach::checkpoint
