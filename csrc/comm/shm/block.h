#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "comm/communicator.h"

// What the members of a group keep in shared memory: a block each, in the
// arena of its owner.
//
// Who writes what, and which fence orders what. Every counter has one writer,
// who stores it with release after the plain writes that it announces; readers
// load it with acquire before the plain reads. Memory that is written anew
// (eager copies, slots, rings) is written only after an acquire load of the
// counters by which its readers say, with release, that they are done. So all
// plain accesses to one byte are ordered by a release/acquire pair, and no
// other order is relied on. Sleeping and waking (comm/bell.h) only say when to
// look, never what is there. Non-temporal stores end with a store fence before
// the counter that announces them.
namespace eisbach::comm {

inline constexpr int64_t kPrivate = -1;

// What a rank shows the others of one collective call.
struct Call {
  CallShape shape;
  // Bytes into the arena of the rank; kPrivate for other memory.
  int64_t in = kPrivate;
  int64_t out = kPrivate;
};

struct alignas(64) Counter {
  std::atomic<uint64_t> value;

  uint64_t Get() const { return value.load(std::memory_order_acquire); }
  void Set(uint64_t v) { value.store(v, std::memory_order_release); }
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// The fixed part of a block. The k-th collective of every rank uses calls[k %
// 2] and eager copy k % 2: a rank cannot post call k + 2 before everyone has
// posted call k + 1 and so is done with what call k showed.
struct BlockHeader {
  Counter posted;  // calls shown
  Counter left;    // calls whose peers' memory is not touched any more
  // Rounds of staged calls, counted over the life of the group. Round g uses
  // slot g % kSlots of every rank.
  Counter staged;     // my parts lie in the slot
  Counter combined;   // I have read the others' parts and shown my result
  Counter collected;  // I have read the others' results
  Call calls[2];
};

// The first chunk of a message says what comes.
struct MessageHeader {
  int64_t bytes;
  int64_t from;  // where it lies in the sender's arena; kPrivate: in the ring
  DType dtype;
};

inline constexpr int64_t kEagerBytes = 32 << 10;  // per call
inline constexpr int64_t kSlotBytes = 128 << 10;  // in parts, one a receiver
inline constexpr int kSlots = 4;
inline constexpr int64_t kRingChunk = 64 << 10;
inline constexpr int kRingChunks = 16;

// Where the parts of a block of a group of `size` lie, in bytes.
class BlockLayout {
 public:
  explicit BlockLayout(int size);

  size_t bytes() const { return bytes_; }
  // Bytes from the start that must be zero at first; the rest may be anything.
  size_t control_bytes() const { return eager_; }
  int64_t part_bytes() const { return part_bytes_; }  // a multiple of 512
  int64_t slot_bytes() const { return part_bytes_ * size_; }

  BlockHeader& header(char* block) const {
    return *reinterpret_cast<BlockHeader*>(block);
  }
  // Set by member `i` when it will never touch the block again.
  std::atomic<uint32_t>& closed(char* block, int i) const {
    return reinterpret_cast<std::atomic<uint32_t>*>(block + closed_)[i];
  }
  // Chunks that the owner has put into its ring for member `to`, and has taken
  // out of the ring that member `from` has for it.
  Counter& sent(char* block, int to) const {
    return reinterpret_cast<Counter*>(block + sent_)[to];
  }
  Counter& taken(char* block, int from) const {
    return reinterpret_cast<Counter*>(block + taken_)[from];
  }
  // Of an all-to-all: what the owner sends to and expects from each member.
  int64_t* counts(char* block, int64_t call) const {
    return reinterpret_cast<int64_t*>(block + counts_) + call % 2 * 2 * size_;
  }
  MessageHeader& message(char* block, int to, uint64_t chunk) const {
    return reinterpret_cast<MessageHeader*>(
        block + messages_)[to * kRingChunks + chunk % kRingChunks];
  }
  char* eager(char* block, int64_t call) const {
    return block + eager_ + call % 2 * kEagerBytes;
  }
  char* slot(char* block, uint64_t round) const {
    return block + slots_ + round % kSlots * slot_bytes();
  }
  char* result(char* block, uint64_t round) const {
    return block + results_ + round % kSlots * part_bytes_;
  }
  char* ring(char* block, int to, uint64_t chunk) const {
    return block + rings_ +
           (to * kRingChunks + chunk % kRingChunks) * kRingChunk;
  }

 private:
  const int size_;
  const int64_t part_bytes_;
  size_t closed_, sent_, taken_, counts_, messages_, eager_, slots_, results_,
      rings_, bytes_;
};

}  // namespace eisbach::comm
