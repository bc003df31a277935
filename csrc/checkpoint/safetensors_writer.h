#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "checkpoint/safetensors.h"
#include "core/atomic_file.h"
#include "core/content_hash.h"

namespace eisbach::checkpoint {

// What a file will hold under a name.
struct SafetensorsSpec {
  std::string name;
  DType dtype;
  Shape shape;
};

// Writes a safetensors file without holding it in memory: all tensors are
// announced first, then their bytes follow in entries() order, in pieces as
// they come. The file appears with Commit, complete, or not at all.
class SafetensorsWriter {
 public:
  // InvalidArgument for a name that occurs twice, is "__metadata__" or no
  // UTF-8, or for a negative size.
  static absl::StatusOr<std::unique_ptr<SafetensorsWriter>> Create(
      absl::string_view path, absl::Span<const SafetensorsSpec> tensors,
      std::map<std::string, std::string> metadata);

  // The order of the data: wide types first, so that each tensor is aligned to
  // its type, then by name.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }

  // The next bytes of tensor `name`. InvalidArgument when it is not its turn
  // or there are more bytes than the tensor has.
  absl::Status Write(absl::string_view name, const void* data, size_t bytes);

  // FailedPrecondition when a tensor has not been written to its end. At most
  // once.
  absl::Status Commit();

  // Of the whole file as far as it is written.
  size_t bytes_written() const { return file_->bytes_written(); }
  uint64_t hash() const { return hasher_.hash(); }  // ContentHash

 private:
  SafetensorsWriter(std::vector<SafetensorsEntry> entries,
                    std::unique_ptr<AtomicFile> file)
      : entries_(std::move(entries)), file_(std::move(file)) {
    SkipFinished();
  }

  void SkipFinished();
  absl::Status Append(const void* data, size_t bytes);

  const std::vector<SafetensorsEntry> entries_;
  const std::unique_ptr<AtomicFile> file_;
  ContentHasher hasher_;
  size_t current_ = 0;  // entry that is being written
  size_t written_ = 0;  // bytes of data so far
};

}  // namespace eisbach::checkpoint
