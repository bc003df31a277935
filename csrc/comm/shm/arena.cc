#include "comm/shm/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

class ArenaSource final : public MemorySource {
 public:
  ArenaSource(Arena& arena, std::shared_ptr<const void> owner)
      : arena_(arena), owner_(std::move(owner)) {}
  absl::StatusOr<void*> Take(size_t bytes) override {
    return arena_.Cut(bytes);
  }
  void Give(void* data, size_t bytes) override {
    madvise(data, bytes, MADV_REMOVE);
  }

 private:
  Arena& arena_;
  const std::shared_ptr<const void> owner_;
};

}  // namespace

Arena::Arena(std::unique_ptr<MemoryFile> file) : file_(std::move(file)) {
  // Where the system gives huge pages to shared memory.
  madvise(data(), bytes(), MADV_HUGEPAGE);
}

absl::StatusOr<std::unique_ptr<Arena>> Arena::Make(size_t bytes) {
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<MemoryFile> file,
                           MemoryFile::Make(bytes));
  return std::unique_ptr<Arena>(new Arena(std::move(file)));
}

absl::StatusOr<std::unique_ptr<Arena>> Arena::Open(pid_t pid, int fd,
                                                   size_t bytes) {
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<MemoryFile> file,
                           MemoryFile::Open(pid, fd, bytes));
  return std::unique_ptr<Arena>(new Arena(std::move(file)));
}

absl::StatusOr<void*> Arena::Cut(size_t bytes) {
  const size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  std::lock_guard<std::mutex> lock(mutex_);
  if (size > this->bytes() - used_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "shared memory has no ", bytes >> 20, " MiB more: ", used_ >> 20,
        " of ", this->bytes() >> 20, " MiB are used"));
  }
  void* cut = data() + used_;
  used_ += size;
  return cut;
}

std::unique_ptr<MemorySource> SourceIn(Arena& arena,
                                       std::shared_ptr<const void> owner) {
  return std::make_unique<ArenaSource>(arena, std::move(owner));
}

size_t ArenaBytes(int ranks) {
  constexpr size_t kAddresses = size_t{1} << 46;  // of 2^47, for all arenas
  const size_t memory = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) *
                        static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return std::min(memory, kAddresses / ranks) / kHugePage * kHugePage;
}

}  // namespace eisbach::comm
