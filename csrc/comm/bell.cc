#include "comm/bell.h"

#include <sched.h>

#include <algorithm>

namespace eisbach::comm {
namespace {

using std::chrono::microseconds;

constexpr microseconds kYield(60);
constexpr microseconds kShortestSleep(20);
constexpr microseconds kLongestSleep(1000);
// Only a guard: a peer that changes something rings.
constexpr microseconds kUntilRung(20000);

}  // namespace

void Backoff::Pause(Bell& bell, uint64_t seen) {
  const Bell::Clock::time_point now = Bell::Clock::now();
  if (!waiting_) {
    waiting_ = true;
    since_ = now;
  }
  const Bell::Clock::duration waited = now - since_;
  if (waited < kYield) {
    sched_yield();
  } else if (peers_ring_) {
    bell.Wait(seen, kUntilRung);
  } else {
    bell.Wait(seen, std::clamp<Bell::Clock::duration>(
                        waited / 8, kShortestSleep, kLongestSleep));
    if (bell.epoch() != seen) Reset();
  }
}

}  // namespace eisbach::comm
