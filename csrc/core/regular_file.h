#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// A regular file that is open to be read. Opening waits for nothing: a FIFO,
// socket, device or folder is an error. Moves, never copies; thread-safe.
class RegularFile {
 public:
  // The system's error (ErrnoError) with the path, or InvalidArgument that says
  // what the path is instead of a regular file.
  static absl::StatusOr<RegularFile> Open(absl::string_view path);
  RegularFile(RegularFile&& other) noexcept
      : path_(std::move(other.path_)),
        info_(other.info_),
        fd_(std::exchange(other.fd_, -1)) {}
  RegularFile& operator=(RegularFile&&) = delete;
  ~RegularFile();

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }
  // As it was when it was opened.
  const struct stat& info() const { return info_; }
  size_t size() const { return static_cast<size_t>(info_.st_size); }

  // Reads bytes [offset, offset + out.size()). OutOfRange when the file ends
  // before: names path, offset, and the size when it was opened.
  absl::Status ReadAt(uint64_t offset, std::span<std::byte> out) const;

 private:
  RegularFile(std::string path, const struct stat& info, int fd)
      : path_(std::move(path)), info_(info), fd_(fd) {}

  std::string path_;
  struct stat info_;
  int fd_;
};

// The bytes of a regular file. InvalidArgument, before anything is read, when
// it has more than `most` bytes.
absl::StatusOr<std::string> ReadWholeFile(absl::string_view path, size_t most);

}  // namespace eisbach
