#include "core/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace eisbach {
namespace {

absl::Status SystemError(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

}  // namespace

absl::Status ApartError(absl::string_view what) {
  return absl::UnavailableError(
      absl::StrCat(what, ": the ranks are in different process namespaces"));
}

absl::StatusOr<std::unique_ptr<MemoryFile>> MemoryFile::Make(size_t bytes) {
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

absl::StatusOr<std::unique_ptr<MemoryFile>> MemoryFile::Open(pid_t pid, int fd,
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

absl::StatusOr<std::unique_ptr<MemoryFile>> MemoryFile::Map(int fd,
                                                            size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (data == MAP_FAILED) {
    absl::Status status =
        SystemError(absl::StrCat("mmap of ", bytes >> 20, " MiB"));
    close(fd);
    return status;
  }
  madvise(data, bytes, MADV_DONTDUMP);  // no tensors in core files
  return std::unique_ptr<MemoryFile>(
      new MemoryFile(fd, static_cast<char*>(data), bytes));
}

MemoryFile::~MemoryFile() {
  Close();
  munmap(data_, bytes_);
}

void MemoryFile::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace eisbach
