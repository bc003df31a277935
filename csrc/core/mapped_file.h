#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/bus_errors.h"

namespace eisbach {

// A whole file, read-only in memory. Moves, never copies.
//
// Pages come from the system's cache when they are first touched. Files that we
// write appear by rename, which leaves mappings of the old one alone. One that
// somebody else cuts short while it is mapped reads as zeros up to the end of a
// page, which CheckWhole finds, and ends the process beyond, with its name
// (BusErrorWatch).
class MappedFile {
 public:
  // NotFound, PermissionDenied, ... with the path and the system's reason;
  // InvalidArgument when the path is no regular file.
  static absl::StatusOr<MappedFile> Open(absl::string_view path);

  const std::string& path() const { return path_; }
  size_t size() const { return static_cast<size_t>(info_.st_size); }
  const std::byte* data() const { return data_.get(); }

  // OutOfRange when the file has another size than when it was opened. To be
  // asked after bytes were read from it, and before they are used.
  absl::Status CheckWhole() const;

  // Lets the system take back the memory of pages that lie in these bytes; they
  // are read again when they are touched again.
  void Release(size_t offset, size_t bytes) const;

  // The T at `offset`, which needs no alignment and lies within the file.
  template <typename T>
  T Load(size_t offset) const {
    T value;
    std::memcpy(&value, data_.get() + offset, sizeof(T));
    return value;
  }

 private:
  struct Unmap {
    size_t size;
    BusErrorWatch watch;
    void operator()(const std::byte* data);
  };
  using Mapping = std::unique_ptr<const std::byte, Unmap>;

  MappedFile(std::string path, const struct stat& info, Mapping data)
      : path_(std::move(path)), info_(info), data_(std::move(data)) {}

  std::string path_;
  struct stat info_;  // when it was opened
  Mapping data_;      // null for an empty file
};

// Asks the system to read bytes of a mapped file into its cache, and waits for
// none of them: whoever touches them later need not wait for each page. Costs
// little where they are there.
void ReadSoon(std::span<const std::byte> mapped);

}  // namespace eisbach
