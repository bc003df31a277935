#include "checkpoint/finite_scan.h"

#include <algorithm>

#include "core/dtype.h"
#include "core/finite.h"

namespace eisbach::checkpoint {

size_t FiniteScan::EntryAfter(uint64_t at) const {
  const std::vector<SafetensorsEntry>& entries = file_.entries();
  return std::partition_point(entries.begin(), entries.end(),
                              [&](const SafetensorsEntry& entry) {
                                return file_.OffsetOf(entry) + entry.bytes() <=
                                       at;
                              }) -
         entries.begin();
}

std::vector<ByteRange> FiniteScan::Cut(size_t most) const {
  std::vector<ByteRange> blocks;
  for (uint64_t at = 0; at < file_.size(); at += blocks.back().bytes) {
    uint64_t end = std::min<uint64_t>(at + most, file_.size());
    const size_t cut = EntryAfter(end);
    if (cut < file_.entries().size()) {
      const SafetensorsEntry& entry = file_.entries()[cut];
      const uint64_t begin = file_.OffsetOf(entry);
      if (entry.dtype && begin < end) {
        end -= (end - begin) % SizeOf(*entry.dtype);
      }
    }
    blocks.push_back({at, end - at});
  }
  return blocks;
}

void FiniteScan::Look(const ByteRange& block,
                      std::span<const std::byte> bytes) {
  const uint64_t block_end = block.begin + block.bytes;
  const std::vector<SafetensorsEntry>& entries = file_.entries();
  for (size_t i = EntryAfter(block.begin); i < entries.size(); ++i) {
    const SafetensorsEntry& entry = entries[i];
    const uint64_t offset = file_.OffsetOf(entry);
    if (offset >= block_end) return;
    if (!entry.dtype) continue;
    const uint64_t begin = std::max(offset, block.begin);
    const uint64_t end = std::min(offset + entry.bytes(), block_end);
    const std::optional<size_t> at = FirstNonFinite(
        *entry.dtype, bytes.subspan(begin - block.begin, end - begin));
    if (!at) continue;
    const Found found{i, (begin - offset) / SizeOf(*entry.dtype) + *at};
    const std::lock_guard lock(mutex_);
    if (!first_ || found < *first_) first_ = found;
    return;
  }
}

absl::Status FiniteScan::status() const {
  const std::lock_guard lock(mutex_);
  if (!first_) return absl::OkStatus();
  return file_.NotFinite(file_.entries()[first_->entry], first_->element);
}

}  // namespace eisbach::checkpoint
