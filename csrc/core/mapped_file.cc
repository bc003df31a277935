#include "core/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/errno_status.h"
#include "core/regular_file.h"
#include "core/status_macros.h"

namespace eisbach {

absl::StatusOr<MappedFile> MappedFile::Open(absl::string_view path) {
  EISBACH_ASSIGN_OR_RETURN(const RegularFile file, RegularFile::Open(path));
  const size_t size = file.size();
  if (size == 0) {
    return MappedFile(file.path(), file.info(), Mapping(nullptr, Unmap{0, {}}));
  }
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd(), 0);
  if (data == MAP_FAILED) {
    return ErrnoError(errno, absl::StrCat("map ", size, " bytes of ", path));
  }
  return MappedFile(
      file.path(), file.info(),
      Mapping(static_cast<const std::byte*>(data),
              Unmap{size, BusErrorWatch(data, size, file.path())}));
}

absl::Status MappedFile::CheckWhole() const {
  struct stat now;
  const bool same = stat(path_.c_str(), &now) == 0 &&
                    now.st_dev == info_.st_dev && now.st_ino == info_.st_ino;
  // Another file of that name leaves this one as it is.
  if (!same || now.st_size == info_.st_size) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat(path_, " ends at byte ", now.st_size, ", it had ", size(),
                   " bytes when it was opened: it was changed while it was in "
                   "use"));
}

void MappedFile::Release(size_t offset, size_t bytes) const {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = (offset + bytes) / page * page;
  if (begin >= end) return;
  // A mapping that is shared loses nothing.
  madvise(const_cast<std::byte*>(data_.get()) + begin, end - begin,
          MADV_DONTNEED);
}

void MappedFile::Unmap::operator()(const std::byte* data) {
  watch = BusErrorWatch();
  munmap(const_cast<std::byte*>(data), size);
}

void ReadSoon(std::span<const std::byte> mapped) {
  // The system reads no more than this at a request on many a disk, and leaves
  // out the rest.
  constexpr size_t kRequestBytes = size_t{128} << 10;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t before = reinterpret_cast<uintptr_t>(mapped.data()) % page;
  std::byte* begin = const_cast<std::byte*>(mapped.data()) - before;
  const size_t bytes = mapped.size() + before;
  for (size_t at = 0; at < bytes; at += kRequestBytes) {
    unsigned char first;  // page of it: where that is there, so is the rest
    if (mincore(begin + at, 1, &first) == 0 && (first & 1) != 0) continue;
    madvise(begin + at, std::min(kRequestBytes, bytes - at), MADV_WILLNEED);
  }
}

}  // namespace eisbach
