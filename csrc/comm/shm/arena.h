#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>

#include "absl/status/statusor.h"
#include "core/memory_file.h"
#include "device/allocator.h"

namespace eisbach::comm {

// The memory that one process shares with the others of its host: a file
// without a name that is as large as the machine's memory.
class Arena {
 public:
  // As for MemoryFile.
  static absl::StatusOr<std::unique_ptr<Arena>> Make(size_t bytes);
  static absl::StatusOr<std::unique_ptr<Arena>> Open(pid_t pid, int fd,
                                                     size_t bytes);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  char* data() const { return file_->data(); }
  size_t bytes() const { return file_->bytes(); }
  int fd() const { return file_->fd(); }
  void Close() { file_->Close(); }

  // Where `pointer` lies in the arena; nothing when it is elsewhere.
  std::optional<size_t> OffsetOf(const void* pointer) const {
    const char* p = static_cast<const char*>(pointer);
    if (p < data() || p >= data() + bytes()) return std::nullopt;
    return static_cast<size_t>(p - data());
  }

  // Cuts off memory that was never used before, aligned to 2 MiB and zero.
  // Thread-safe.
  absl::StatusOr<void*> Cut(size_t bytes);

 private:
  explicit Arena(std::unique_ptr<MemoryFile> file);

  const std::unique_ptr<MemoryFile> file_;
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
