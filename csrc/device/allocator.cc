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

Allocator::Allocator(std::unique_ptr<MemorySource> source)
    : source_(std::move(source)) {}

Allocator::~Allocator() {
  for (Block* block : free_blocks_) delete block;
  for (auto& [data, block] : used_blocks_) delete block;
  for (auto& [data, size] : segments_) source_->Give(data, size);
}

absl::StatusOr<void*> Allocator::Allocate(size_t bytes) {
  if (bytes == 0) return nullptr;
  const size_t size = RoundUp(bytes, kAlignment);
  std::lock_guard<std::mutex> lock(mutex_);
  Block key{nullptr, size};
  auto it = free_blocks_.lower_bound(&key);
  Block* block;
  if (it != free_blocks_.end()) {
    block = *it;
    free_blocks_.erase(it);
  } else {
    EISBACH_ASSIGN_OR_RETURN(block, NewSegment(size));
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
    source_->Give(block->data, block->size);
    stats_.bytes_reserved -= static_cast<int64_t>(block->size);
    segments_.erase(segment);
    it = free_blocks_.erase(it);
    delete block;
  }
}

AllocatorStats Allocator::stats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void Allocator::ResetPeak() {
  std::lock_guard<std::mutex> lock(mutex_);
  stats_.peak_bytes_in_use = stats_.bytes_in_use;
}

absl::StatusOr<Allocator::Block*> Allocator::NewSegment(size_t bytes) {
  const size_t size = std::max(kSegment, RoundUp(bytes, kPage));
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
