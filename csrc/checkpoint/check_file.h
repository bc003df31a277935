#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "checkpoint/manifest.h"
#include "core/block_reader.h"

namespace eisbach::checkpoint {

// Is told how many bytes of a file have been read; an error ends that. Called
// by the thread that checks.
using ReadProgress = std::function<absl::Status(uint64_t bytes)>;

// Reads all of a file of a checkpoint, once and ahead (core/block_reader.h):
// its size and hash must be the manifest's, and all values finite. Of what is
// wrong the first of these is told; what cannot be read, with file and byte.
absl::Status CheckFile(
    const std::string& folder, const ManifestFile& file, PageCache cache,
    const ReadProgress& progress = [](uint64_t) { return absl::OkStatus(); });

}  // namespace eisbach::checkpoint
