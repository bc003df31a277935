#include "comm/shm/arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

absl::Status SystemError(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

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

absl::Status ApartError(absl::string_view what) {
  return absl::UnavailableError(
      absl::StrCat(what, ": the ranks are in different process namespaces"));
}

absl::StatusOr<std::unique_ptr<Arena>> Arena::Make(size_t bytes) {
  const int fd = memfd_create("eisbach", MFD_CLOEXEC);
  if (fd < 0) return SystemError("memfd_create");
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    absl::Status status =
        SystemError(absl::StrCat("ftruncate to ", bytes >> 20, " MiB"));
    close(fd);
    return status;
  }
  return Map(fd, bytes);
}

absl::StatusOr<std::unique_ptr<Arena>> Arena::Open(pid_t pid, int fd,
                                                   size_t bytes) {
  const std::string path = absl::StrCat("/proc/", pid, "/fd/", fd);
  const int opened = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (opened < 0 && (errno == ENOENT || errno == ENXIO)) {
    return ApartError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  if (opened < 0) return SystemError(path);
  // The same numbers may name another file in another process namespace, and
  // memory past the end of a file is a bus error.
  struct stat status;
  if (fstat(opened, &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<size_t>(status.st_size) != bytes) {
    close(opened);
    return ApartError(absl::StrCat(
        path, " is not the memory that its process has announced"));
  }
  return Map(opened, bytes);
}

absl::StatusOr<std::unique_ptr<Arena>> Arena::Map(int fd, size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (data == MAP_FAILED) {
    absl::Status status =
        SystemError(absl::StrCat("mmap of ", bytes >> 20, " MiB"));
    close(fd);
    return status;
  }
  // Hints: huge pages where the system gives them to shared memory, and no
  // tensors in core files.
  madvise(data, bytes, MADV_HUGEPAGE);
  madvise(data, bytes, MADV_DONTDUMP);
  return std::unique_ptr<Arena>(new Arena(fd, static_cast<char*>(data), bytes));
}

Arena::~Arena() {
  Close();
  munmap(data_, bytes_);
}

void Arena::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

absl::StatusOr<void*> Arena::Cut(size_t bytes) {
  const size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  std::lock_guard<std::mutex> lock(mutex_);
  if (size > bytes_ - used_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "shared memory has no ", bytes >> 20, " MiB more: ", used_ >> 20,
        " of ", bytes_ >> 20, " MiB are used"));
  }
  void* data = data_ + used_;
  used_ += size;
  return data;
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
