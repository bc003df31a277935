#include "core/atomic_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/check.h"
#include "core/errno_status.h"
#include "core/status_macros.h"

namespace eisbach {
namespace {

// Of one write past the page cache, which waits for the disk.
constexpr size_t kBufferBytes = size_t{4} << 20;
constexpr mode_t kMode = 0640;

// Of the file's name in `path`; "." or "/" where there is none before it.
std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::Status SyncFolder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, absl::StrCat("open ", folder));
  // Some file systems cannot sync a folder; the files in it are safe.
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  if (result != 0 && error != EINVAL && error != EROFS) {
    return ErrnoError(error, absl::StrCat("sync ", folder));
  }
  return absl::OkStatus();
}

AtomicFile::AtomicFile(absl::string_view path, std::string scratch, int fd,
                       DirectMemory buffer)
    : path_(path),
      scratch_(std::move(scratch)),
      fd_(fd),
      buffer_(std::move(buffer)) {}

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(
    absl::string_view path) {
  DirectMemory buffer = AllocateDirect(kBufferBytes);
  if (buffer == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no ", kBufferBytes, " bytes of memory to write ", path));
  }
  const std::string folder = FolderOf(std::string(path));
  while (true) {
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
      return ErrnoError(errno, absl::StrCat("random name beside ", path));
    }
    std::string scratch =
        absl::StrFormat("%s/.eisbach-%016x.tmp", folder, random);
    // O_EXCL follows no link.
    const int fd =
        open(scratch.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
    if (fd >= 0) {
      return std::unique_ptr<AtomicFile>(
          new AtomicFile(path, std::move(scratch), fd, std::move(buffer)));
    }
    if (errno != EEXIST) {
      return ErrnoError(errno, absl::StrCat("create ", path));
    }
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(scratch_.c_str());
}

bool AtomicFile::GoPastCache(bool past) {
  if (!SetDirect(fd_, past)) return false;
  past_cache_ = past;
  return true;
}

absl::Status AtomicFile::Flush() {
  const std::byte* data = buffer_.get();
  size_t bytes = std::exchange(filled_, 0);
  while (bytes > 0) {
    const ssize_t written = write(fd_, data, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      // A file system may take the flag and not the write, or want another
      // alignment after a write that was cut short.
      if (errno == EINVAL && past_cache_ && GoPastCache(false)) continue;
      return ErrnoError(errno,
                        absl::StrCat("write ", bytes, " bytes to ", path_));
    }
    data += written;
    bytes -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Write(const void* data, size_t bytes) {
  EISBACH_CHECK(fd_ >= 0);
  const char* from = static_cast<const char*>(data);
  bytes_written_ += bytes;
  while (bytes > 0) {
    const size_t part = std::min(bytes, kBufferBytes - filled_);
    std::memcpy(buffer_.get() + filled_, from, part);
    filled_ += part;
    from += part;
    bytes -= part;
    if (filled_ < kBufferBytes) continue;
    if (!std::exchange(tried_, true)) GoPastCache(true);
    EISBACH_RETURN_IF_ERROR(Flush());
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  EISBACH_CHECK(fd_ >= 0);
  // The end of a file is aligned to nothing.
  if (past_cache_) GoPastCache(false);
  EISBACH_RETURN_IF_ERROR(Flush());
  if (fsync(fd_) != 0) {
    return ErrnoError(errno, absl::StrCat("sync ", path_));
  }
  if (rename(scratch_.c_str(), path_.c_str()) != 0) {
    return ErrnoError(errno, absl::StrCat("replace ", path_));
  }
  close(std::exchange(fd_, -1));
  return SyncFolder(FolderOf(path_));
}

absl::Status WriteFileAtomically(absl::string_view path,
                                 absl::string_view bytes) {
  EISBACH_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file,
                           AtomicFile::Create(path));
  EISBACH_RETURN_IF_ERROR(file->Write(bytes));
  return file->Commit();
}

}  // namespace eisbach
