#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "checkpoint/safetensors_file.h"
#include "core/block_reader.h"

namespace eisbach::checkpoint {

// Looks for numbers that are not finite in a safetensors file that is read in
// blocks, several at once and in any order.
class FiniteScan {
 public:
  // `file` outlives the scan.
  explicit FiniteScan(const SafetensorsFile& file) : file_(file) {}

  // The whole file in blocks of at most `most` bytes that end within no element
  // of a tensor. `most` is at least that of an element.
  std::vector<ByteRange> Cut(size_t most) const;

  // Looks at the bytes of such a block. Thread-safe.
  void Look(const ByteRange& block, std::span<const std::byte> bytes);

  // That of SafetensorsFile::NotFinite for the first of all that were found,
  // in the order of the file.
  absl::Status status() const;

 private:
  struct Found {
    size_t entry;
    size_t element;
    auto operator<=>(const Found&) const = default;
  };

  // The first entry that ends behind byte `at` of the file.
  size_t EntryAfter(uint64_t at) const;

  const SafetensorsFile& file_;
  mutable std::mutex mutex_;
  std::optional<Found> first_;
};

}  // namespace eisbach::checkpoint
