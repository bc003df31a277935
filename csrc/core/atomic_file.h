#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// A file that appears under its name complete or not at all: written to a
// temporary file beside it, then flushed to the disk and renamed. What is not
// committed is removed.
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
  AtomicFile(absl::string_view path, std::string temporary, int fd);

  absl::Status Flush();
  absl::Status WriteThrough(const char* data, size_t bytes);

  const std::string path_;
  const std::string temporary_;
  int fd_;
  std::string buffer_;
  size_t bytes_written_ = 0;
};

}  // namespace eisbach
