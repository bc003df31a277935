#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/direct_io.h"

namespace eisbach {

// Makes the names in a folder durable: what was created, renamed or removed
// there. Errors name the folder.
absl::Status SyncFolder(const std::string& folder);

// A file that appears under its name complete or not at all: written to a
// scratch file beside it, then flushed to the disk and renamed. What is not
// committed is removed.
//
// What is long goes past the page cache (O_DIRECT) where the file system knows
// that: to find pages and to copy into them takes longer than a fast disk, and
// the cores that train are left alone. Such a file is not in the cache then.
//
// The scratch file has a random name and is made anew, so nobody who can write
// to the folder can place a file or a link where it will be. A link of the
// final name is replaced, never followed. Readable by user and group at most
// (0640, less the umask). Errors name `path`.
class AtomicFile {
 public:
  // Truncates nothing; an existing file stays until Commit replaces it.
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Create(
      absl::string_view path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& path() const { return path_; }
  size_t bytes_written() const { return bytes_written_; }

  // Appends. After an error the file can only be dropped.
  absl::Status Write(const void* data, size_t bytes);
  absl::Status Write(absl::string_view text) {
    return Write(text.data(), text.size());
  }

  // Makes the file durable under its name. At most once.
  absl::Status Commit();

 private:
  AtomicFile(absl::string_view path, std::string scratch, int fd,
             DirectMemory buffer);

  // Writes what is in the buffer.
  absl::Status Flush();
  // Whether it worked; the file system may not know it.
  bool GoPastCache(bool past);

  const std::string path_;
  const std::string scratch_;
  int fd_;
  const DirectMemory buffer_;
  size_t filled_ = 0;  // bytes of it
  bool past_cache_ = false;
  bool tried_ = false;  // to go past the cache
  size_t bytes_written_ = 0;
};

// The whole of it: `bytes` under the name `path`, durable. After an error the
// old content is there, or all of the new without a promise to last.
absl::Status WriteFileAtomically(absl::string_view path,
                                 absl::string_view bytes);

}  // namespace eisbach
