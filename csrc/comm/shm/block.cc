#include "comm/shm/block.h"

#include <algorithm>

namespace eisbach::comm {
namespace {

constexpr size_t kPage = 4096;

int64_t PartBytes(int size) {
  return std::max<int64_t>(kSlotBytes / size / 512 * 512, 2048);
}

}  // namespace

BlockLayout::BlockLayout(int size) : size_(size), part_bytes_(PartBytes(size)) {
  const size_t n = size;
  size_t at = 0;
  const auto place = [&](size_t bytes, size_t alignment) {
    const size_t here = (at + alignment - 1) / alignment * alignment;
    at = here + bytes;
    return here;
  };
  place(sizeof(BlockHeader), 64);
  closed_ = place(n * sizeof(std::atomic<uint32_t>), 64);
  sent_ = place(n * sizeof(Counter), 64);
  taken_ = place(n * sizeof(Counter), 64);
  counts_ = place(4 * n * sizeof(int64_t), 64);
  messages_ = place(n * kRingChunks * sizeof(MessageHeader), 64);
  eager_ = place(2 * kEagerBytes, kPage);
  slots_ = place(kSlots * slot_bytes(), kPage);
  results_ = place(kSlots * part_bytes_, kPage);
  rings_ = place(n * kRingChunks * kRingChunk, kPage);
  bytes_ = at;
}

}  // namespace eisbach::comm
