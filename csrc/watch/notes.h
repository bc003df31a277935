#pragma once

#include <atomic>
#include <cstdint>

#include "comm/activity.h"

namespace eisbach::watch {

// What the watches of a host tell one another, in the room of each rank's
// table. Written by the rank that it is of, but for what is asked of it.
struct Notes {
  static constexpr int kStackBytes = 12288;

  std::atomic<uint64_t> token;        // tells that this is the table announced
  std::atomic<int64_t> heartbeat;     // of the watching thread
  std::atomic<int64_t> silent_ms;     // since the last progress
  std::atomic<uint64_t> start_ticks;  // of the process, against its number
  // A peer raises the first; the second follows when `stack` is there.
  std::atomic<int32_t> stacks_asked;
  std::atomic<int32_t> stacks_given;
  std::atomic<int32_t> stack_bytes;
  std::atomic<bool> ending;  // a peer has found a hang: leave
  char stack[kStackBytes];
};
static_assert(sizeof(Notes) <= comm::RankTable::kRoom);

inline Notes& NotesOf(comm::RankTable& table) {
  return *reinterpret_cast<Notes*>(table.room);
}

}  // namespace eisbach::watch
