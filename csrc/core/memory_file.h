#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// Unavailable: `what`, as the ranks are in different process namespaces.
absl::Status ApartError(absl::string_view what);

// Memory of one process that others of its host can map: a file that has no
// name (memfd), of which the system holds only the pages that were touched. It
// is gone when the last process that maps it has ended, however it ended.
//
// Other processes open it through /proc/PID/fd, which the kernel grants to the
// same user without further privileges, also in a container.
class MemoryFile {
 public:
  // A new one, zero, mapped here.
  static absl::StatusOr<std::unique_ptr<MemoryFile>> Make(size_t bytes);
  // That of process `pid`, mapped here. Unavailable when it cannot be reached,
  // or is not of `bytes`.
  static absl::StatusOr<std::unique_ptr<MemoryFile>> Open(pid_t pid, int fd,
                                                          size_t bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  int fd() const { return fd_; }
  // Lets go of the descriptor; the mapping stays.
  void Close();

 private:
  MemoryFile(int fd, char* data, size_t bytes)
      : fd_(fd), data_(data), bytes_(bytes) {}
  static absl::StatusOr<std::unique_ptr<MemoryFile>> Map(int fd, size_t bytes);

  int fd_;
  char* const data_;
  const size_t bytes_;
};

}  // namespace eisbach
