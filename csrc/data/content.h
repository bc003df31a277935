#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach::data {

// What is in a file, whatever its name: equal for equal bytes alone.
struct FileContent {
  uint64_t bytes;
  // XXH64 of the XXH64s of its pieces of 4 MiB, which threads take in parallel.
  uint64_t hash;

  bool operator==(const FileContent&) const = default;
};

// Reads a regular file once through, or remembers what it found the last time:
// `cache` is a folder, made if need be, that holds a small file for each path.
// A memory counts only while device, inode, size and the times of the last
// change (of the content, of the inode) are those of then, and is kept only of
// a file that had rested for two seconds; a cache that cannot be read or
// written is as good as none. Empty: no cache.
//
// Errors name the path; Aborted when the file changes while it is read.
absl::StatusOr<FileContent> ReadContent(absl::string_view path,
                                        const std::string& cache);

}  // namespace eisbach::data
