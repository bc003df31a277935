#include "device/allocator.h"

#include <algorithm>

#include "core/check.h"
#include "core/status_macros.h"

namespace eisbach {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kSegment = size_t{32} << 20;
constexpr size_t kPage = size_t{2} << 20;

size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

AllocatorStats& AllocatorStats::operator+=(const AllocatorStats& other) {
  bytes_in_use += other.bytes_in_use;
  peak_bytes_in_use += other.peak_bytes_in_use;
  bytes_reserved += other.bytes_reserved;
  allocations += other.allocations;
  system_allocations += other.system_allocations;
  return *this;
}

Allocator::Allocator(std::unique_ptr<MemorySource> source, Caching caching)
    : source_(std::move(source)), caching_(caching) {}

Allocator::~Allocator() {
  for (Block* block : free_blocks_) delete block;
  for (auto& [data, block] : used_blocks_) delete block;
  for (auto& [data, size] : segments_) source_->Give(data, size);
}

absl::StatusOr<void*> Allocator::Allocate(size_t bytes) {
  if (bytes == 0) return nullptr;
  const bool caches = caching_ == Caching::kOn;
  const size_t size = caches ? RoundUp(bytes, kAlignment) : bytes;
  std::lock_guard<std::mutex> lock(mutex_);
  Block key{nullptr, size};
  auto it = free_blocks_.lower_bound(&key);
  Block* block;
  if (it != free_blocks_.end()) {
    block = *it;
    free_blocks_.erase(it);
  } else {
    EISBACH_ASSIGN_OR_RETURN(
        block,
        NewSegment(caches ? std::max(kSegment, RoundUp(size, kPage)) : size));
  }
  SplitTail(block, size);
  block->free = false;
  used_blocks_[block->data] = block;
  ++stats_.allocations;
  stats_.bytes_in_use += static_cast<int64_t>(block->size);
  stats_.peak_bytes_in_use =
      std::max(stats_.peak_bytes_in_use, stats_.bytes_in_use);
  return block->data;
}

void Allocator::Free(void* data) {
  if (data == nullptr) return;
  std::lock_guard<std::mutex> lock(mutex_);
  auto it = used_blocks_.find(data);
  EISBACH_CHECK(it != used_blocks_.end());
  Block* block = it->second;
  used_blocks_.erase(it);
  stats_.bytes_in_use -= static_cast<int64_t>(block->size);
  if (caching_ == Caching::kOff) return GiveSegment(block);
  block->free = true;
  if (block->next != nullptr && block->next->free) {
    free_blocks_.erase(block->next);
    block = MergeWithNext(block);
  }
  if (block->previous != nullptr && block->previous->free) {
    free_blocks_.erase(block->previous);
    block = MergeWithNext(block->previous);
  }
  free_blocks_.insert(block);
}

void Allocator::Trim() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = free_blocks_.begin(); it != free_blocks_.end();) {
    Block* block = *it;
    const auto segment = segments_.find(block->data);
    if (segment == segments_.end() || segment->second != block->size) {
      ++it;
      continue;
    }
    it = free_blocks_.erase(it);
    GiveSegment(block);
  }
}

void Allocator::GiveSegment(Block* block) {
  source_->Give(block->data, block->size);
  stats_.bytes_reserved -= static_cast<int64_t>(block->size);
  segments_.erase(block->data);
  delete block;
}

AllocatorStats Allocator::stats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void Allocator::ResetPeak() {
  std::lock_guard<std::mutex> lock(mutex_);
  stats_.peak_bytes_in_use = stats_.bytes_in_use;
}

absl::StatusOr<Allocator::Block*> Allocator::NewSegment(size_t size) {
  EISBACH_ASSIGN_OR_RETURN(void* data, source_->Take(size));
  segments_[data] = size;
  stats_.bytes_reserved += static_cast<int64_t>(size);
  ++stats_.system_allocations;
  return new Block{static_cast<char*>(data), size};
}

void Allocator::SplitTail(Block* block, size_t bytes) {
  if (block->size == bytes) return;
  Block* tail =
      new Block{block->data + bytes, block->size - bytes, block, block->next};
  if (block->next != nullptr) block->next->previous = tail;
  block->next = tail;
  block->size = bytes;
  free_blocks_.insert(tail);
}

Allocator::Block* Allocator::MergeWithNext(Block* block) {
  Block* next = block->next;
  block->size += next->size;
  block->next = next->next;
  if (block->next != nullptr) block->next->previous = block;
  delete next;
  return block;
}

}  // namespace eisbach
