#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach::checkpoint {

// A run's checkpoints are the folders step-00000123 within one folder. One that
// is being written has another name and gets this one last, so whatever bears
// it is complete.
inline constexpr absl::string_view kManifestName = "manifest.json";

std::string StepFolder(absl::string_view root, int64_t step);
// Where that folder is written: the same name with ".unfinished".
std::string UnfinishedFolder(absl::string_view root, int64_t step);

// InvalidArgument when `path` does not bear the name of `step`: somebody has
// renamed it, or put its content elsewhere. Links to the folder may have any
// name.
absl::Status CheckFolderName(const std::string& path, int64_t step);

// The checkpoint of the highest step in `root`; none where there is none or no
// such folder. Unfinished ones do not count.
absl::StatusOr<std::optional<std::string>> LatestCheckpoint(
    absl::string_view root);

// Makes an empty folder, and the one that it is in, but none above that: where
// a run's folder is gone, no save makes half of it again. The name of the one
// that it is in is durable. What a save that was cut off left there is removed.
absl::Status MakeEmptyFolder(const std::string& path);
// Gives a folder its final name and makes the name durable. AlreadyExists
// where there is something of that name.
absl::Status FinishFolder(const std::string& unfinished,
                          const std::string& path);
// Removes what is there; for cleaning up after an error, so it has none.
void RemoveFolder(const std::string& path);

}  // namespace eisbach::checkpoint
