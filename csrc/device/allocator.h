#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "absl/status/statusor.h"

namespace eisbach {

struct AllocatorStats {
  int64_t bytes_in_use = 0;
  int64_t peak_bytes_in_use = 0;
  int64_t bytes_reserved = 0;      // taken from the system
  int64_t allocations = 0;         // requests served
  int64_t system_allocations = 0;  // requests that went to the system

  // Of two allocators of one device. Peaks are added up, which is the peak of
  // both where what one of them hands out stays in use, and at least that else.
  AllocatorStats& operator+=(const AllocatorStats& other);
};

// Where an allocator takes its memory from.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  // Returns memory aligned to at least 256 bytes, or an error that names the
  // size and what is left.
  virtual absl::StatusOr<void*> Take(size_t bytes) = 0;
  virtual void Give(void* data, size_t bytes) = 0;
};

// A best-fit caching allocator with splitting and coalescing: memory is taken
// from the source in segments and kept until the end or Trim, so that after the
// first steps of a training loop no request reaches the system.
// Every block is aligned to 256 bytes. Thread-safe.
class Allocator {
 public:
  // kOff: every block is a request to the system, which memory checkers want.
  enum class Caching : uint8_t { kOn, kOff };

  explicit Allocator(std::unique_ptr<MemorySource> source,
                     Caching caching = Caching::kOn);
  ~Allocator();

  // A size of 0 yields a null pointer.
  absl::StatusOr<void*> Allocate(size_t bytes);
  void Free(void* data);

  // Gives the segments back that hold nothing: for a change of what a program
  // does, not between steps.
  void Trim();

  AllocatorStats stats() const;
  void ResetPeak();

 private:
  struct Block {
    char* data;
    size_t size;
    Block* previous = nullptr;  // neighbours in the segment
    Block* next = nullptr;
    bool free = true;
  };
  struct BySize {
    bool operator()(const Block* a, const Block* b) const {
      return a->size != b->size ? a->size < b->size : a->data < b->data;
    }
  };

  absl::StatusOr<Block*> NewSegment(size_t size);
  void GiveSegment(Block* block);
  void SplitTail(Block* block, size_t bytes);
  Block* MergeWithNext(Block* block);

  const std::unique_ptr<MemorySource> source_;
  const Caching caching_;
  mutable std::mutex mutex_;
  std::set<Block*, BySize> free_blocks_;
  std::unordered_map<void*, Block*> used_blocks_;
  std::map<void*, size_t> segments_;
  AllocatorStats stats_;
};

}  // namespace eisbach
