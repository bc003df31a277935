#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "device/allocator.h"

namespace eisbach::cuda {

// The memory of captured work. It lives as long as the work, or a tensor in it.
class MemoryPool {
 public:
  explicit MemoryPool(std::unique_ptr<MemorySource> source)
      : allocator_(std::move(source)) {}

  Allocator& allocator() { return allocator_; }

  // From now on replays use what has been in use at once since ResetPeak,
  // whatever the host has freed.
  void HoldPeak() { held_ = allocator_.stats().peak_bytes_in_use; }

  AllocatorStats stats() const {
    AllocatorStats stats = allocator_.stats();
    stats.bytes_in_use = std::max(stats.bytes_in_use, held_.load());
    stats.peak_bytes_in_use = std::max(stats.peak_bytes_in_use, held_.load());
    return stats;
  }

 private:
  Allocator allocator_;
  std::atomic<int64_t> held_{0};
};

}  // namespace eisbach::cuda
