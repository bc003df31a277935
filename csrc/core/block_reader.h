#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/direct_io.h"
#include "core/regular_file.h"

namespace eisbach {

// Bytes [begin, begin + bytes) of a file.
struct ByteRange {
  uint64_t begin;
  size_t bytes;
};

// [0, bytes) in ranges of `most` bytes, the last of what is left.
std::vector<ByteRange> CutBytes(uint64_t bytes, size_t most);

// What reading leaves in the page cache.
enum class PageCache {
  kFill,  // the file: whoever reads it next has it there
  kPass,  // nothing, where the file system knows that (core/direct_io.h)
};

// Reads blocks of a file, each once, ahead of the thread that wants them: the
// disk and the processor work at the same time, on several blocks.
//
// As many threads read as this one computes with (core/threads.h), but at least
// 2, which wait for the disk in turn, and at most 4. They hold twice as many
// blocks.
class BlockReader {
 public:
  // What is to be done with a block that does not depend on others; called by
  // the threads that read, for several blocks at once and in any order.
  using Visit =
      std::function<void(size_t index, std::span<const std::byte> bytes)>;

  // Reading begins at once. `file` and `blocks` outlive the reader.
  BlockReader(const RegularFile& file, absl::Span<const ByteRange> blocks,
              Visit visit = nullptr, PageCache cache = PageCache::kFill);
  // Waits for the blocks that are being read; no other is begun.
  ~BlockReader();
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;

  // The bytes of the next block, which was visited, until the following call;
  // once for each block. The error is that of RegularFile::ReadAt.
  absl::StatusOr<std::span<const std::byte>> Next();

 private:
  struct Slot {  // holds a block in `slots_.size()`
    DirectMemory memory;
    std::span<const std::byte> bytes;  // the block's, in `memory`
    absl::Status status;
    bool full = false;
  };

  Slot& SlotOf(size_t index) { return slots_[index % slots_.size()]; }
  void ReadAhead();  // of a thread
  absl::Status Read(const ByteRange& block, Slot& slot) const;
  // False where it does not come to all of the block.
  bool ReadPastCache(const ByteRange& block, Slot& slot) const;

  const RegularFile& file_;
  const absl::Span<const ByteRange> blocks_;
  const Visit visit_;
  const int direct_;  // the file past the cache; -1: only through it
  size_t most_ = 0;   // bytes of a block
  std::vector<Slot> slots_;

  std::mutex mutex_;  // of what follows, and of `full`
  std::condition_variable read_;
  std::condition_variable free_;
  size_t begun_ = 0;  // blocks that a thread has taken
  size_t given_ = 0;  // by Next
  bool stopped_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace eisbach
