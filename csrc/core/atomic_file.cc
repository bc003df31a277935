#include "core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"

namespace eisbach {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

absl::Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("open ", folder));
  // Some file systems cannot sync a folder; the file itself is safe.
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  if (result != 0 && error != EINVAL && error != EROFS) {
    return absl::ErrnoToStatus(error, absl::StrCat("sync ", folder));
  }
  return absl::OkStatus();
}

}  // namespace

AtomicFile::AtomicFile(absl::string_view path, std::string temporary, int fd)
    : path_(path), temporary_(std::move(temporary)), fd_(fd) {}

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(
    absl::string_view path) {
  // Unique on this host (process) and between hosts (O_EXCL and the counter).
  for (int attempt = 0;; ++attempt) {
    std::string temporary =
        absl::StrCat(path, ".", getpid(), "-", attempt, ".tmp");
    const int fd =
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0) {
      return std::unique_ptr<AtomicFile>(
          new AtomicFile(path, std::move(temporary), fd));
    }
    if (errno != EEXIST || attempt == 1000) {
      return absl::ErrnoToStatus(errno, absl::StrCat("create ", temporary));
    }
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

absl::Status AtomicFile::WriteThrough(const char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t written = write(fd_, data, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(
          errno, absl::StrCat("write ", bytes, " bytes to ", temporary_));
    }
    data += written;
    bytes -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Flush() {
  EISBACH_RETURN_IF_ERROR(WriteThrough(buffer_.data(), buffer_.size()));
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status AtomicFile::Write(const void* data, size_t bytes) {
  EISBACH_CHECK(fd_ >= 0);
  const char* from = static_cast<const char*>(data);
  bytes_written_ += bytes;
  if (buffer_.size() + bytes > kBufferBytes) EISBACH_RETURN_IF_ERROR(Flush());
  if (bytes > kBufferBytes) return WriteThrough(from, bytes);
  buffer_.append(from, bytes);
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  EISBACH_CHECK(fd_ >= 0);
  EISBACH_RETURN_IF_ERROR(Flush());
  if (fsync(fd_) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("sync ", temporary_));
  }
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("rename ", temporary_, " to ", path_));
  }
  close(std::exchange(fd_, -1));
  return SyncFolderOf(path_);
}

}  // namespace eisbach
