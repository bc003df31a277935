#include "core/regular_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "core/errno_status.h"
#include "core/status_macros.h"

namespace eisbach {
namespace {

absl::string_view KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

absl::Status NotRegular(absl::string_view path, mode_t mode) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is ", KindOf(mode), ", not a regular file"));
}

}  // namespace

absl::StatusOr<RegularFile> RegularFile::Open(absl::string_view path) {
  std::string name(path);
  struct stat info;
  const int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    if (error == ENXIO && stat(name.c_str(), &info) == 0) {
      return NotRegular(path, info.st_mode);
    }
    return ErrnoError(error, absl::StrCat("open ", path));
  }
  if (fstat(fd, &info) != 0) {
    const int error = errno;
    close(fd);
    return ErrnoError(error, absl::StrCat("stat ", path));
  }
  RegularFile file(std::move(name), info, fd);
  if (!S_ISREG(info.st_mode)) return NotRegular(path, info.st_mode);
  return file;
}

RegularFile::~RegularFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status RegularFile::ReadAt(uint64_t offset,
                                 std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got =
        pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno,
                        absl::StrCat("read ", path_, " at byte ", offset));
    }
    if (got == 0) {
      return absl::OutOfRangeError(absl::StrCat(path_, " ends at byte ", offset,
                                                ", it had ", size(),
                                                " bytes when it was opened"));
    }
    offset += static_cast<uint64_t>(got);
    out = out.subspan(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadWholeFile(absl::string_view path, size_t most) {
  EISBACH_ASSIGN_OR_RETURN(const RegularFile file, RegularFile::Open(path));
  if (file.size() > most) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, " has ", file.size(), " bytes; at most ", most, " are read"));
  }
  std::string bytes(file.size(), '\0');
  EISBACH_RETURN_IF_ERROR(
      file.ReadAt(0, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

}  // namespace eisbach
