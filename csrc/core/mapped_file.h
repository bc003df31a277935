#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// A whole file, read-only in memory. Moves, never copies.
//
// Pages come from the system's cache when they are first touched. A file that
// is cut short while it is mapped ends the process with SIGBUS; files that we
// write appear by rename, which leaves mappings of the old one alone.
class MappedFile {
 public:
  // NotFound, PermissionDenied, ... with the path and the system's reason;
  // InvalidArgument when the path is no regular file.
  static absl::StatusOr<MappedFile> Open(absl::string_view path);

  const std::string& path() const { return path_; }
  size_t size() const { return size_; }
  const std::byte* data() const { return data_.get(); }

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
    void operator()(const std::byte* data) const;
  };
  using Mapping = std::unique_ptr<const std::byte, Unmap>;

  MappedFile(std::string path, size_t size, Mapping data)
      : path_(std::move(path)), size_(size), data_(std::move(data)) {}

  std::string path_;
  size_t size_;
  Mapping data_;  // null for an empty file
};

}  // namespace eisbach
