#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "device/allocator.h"

namespace eisbach::comm {

// Unavailable: `what`, as the ranks are in different process namespaces.
absl::Status ApartError(absl::string_view what);

// The memory that one process shares with the others of its host: a file that
// has no name (memfd) and is as large as the machine's memory, of which the
// system holds only the pages that were touched. It is gone when the last
// process that maps it has ended, however it ended.
//
// Other processes open it through /proc/PID/fd, which the kernel grants to the
// same user without further privileges, also in a container.
class Arena {
 public:
  // A new one, mapped here.
  static absl::StatusOr<std::unique_ptr<Arena>> Make(size_t bytes);
  // That of process `pid`, mapped here. Unavailable when it cannot be reached,
  // or is not of `bytes`.
  static absl::StatusOr<std::unique_ptr<Arena>> Open(pid_t pid, int fd,
                                                     size_t bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  int fd() const { return fd_; }
  // Lets go of the descriptor; the mapping stays.
  void Close();

  // Where `pointer` lies in the arena; nothing when it is elsewhere.
  std::optional<size_t> OffsetOf(const void* pointer) const {
    const char* p = static_cast<const char*>(pointer);
    if (p < data_ || p >= data_ + bytes_) return std::nullopt;
    return static_cast<size_t>(p - data_);
  }

  // Cuts off memory that was never used before, aligned to 2 MiB and zero.
  // Thread-safe.
  absl::StatusOr<void*> Cut(size_t bytes);

 private:
  Arena(int fd, char* data, size_t bytes)
      : fd_(fd), data_(data), bytes_(bytes) {}
  static absl::StatusOr<std::unique_ptr<Arena>> Map(int fd, size_t bytes);

  int fd_;
  char* const data_;
  const size_t bytes_;
  std::mutex mutex_;
  size_t used_ = 0;
};

// An arena as the source of an allocator; `owner` keeps the arena alive.
std::unique_ptr<MemorySource> SourceIn(Arena& arena,
                                       std::shared_ptr<const void> owner);

// The size of one of `ranks` arenas of a host: this machine's memory, as long
// as a process can map all of them.
size_t ArenaBytes(int ranks);

}  // namespace eisbach::comm
