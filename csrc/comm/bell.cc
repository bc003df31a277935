#include "comm/bell.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace eisbach::comm {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

constexpr microseconds kKeep(5);
constexpr microseconds kYield(60);
constexpr microseconds kShortestSleep(20);
constexpr microseconds kLongestSleep(1000);
// Only a guard: a peer that changes something rings.
constexpr microseconds kUntilRung(20000);

// Not FUTEX_PRIVATE_FLAG: sleepers and ringers may be in different processes.
long Futex(std::atomic<uint32_t>& word, int operation, uint32_t value,
           const timespec* timeout) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation,
                 value, timeout, nullptr, 0);
}

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

// ThreadSanitizer does not know fences, and needs none: see the class comment.
#if defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif
void Bell::Fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

void Bell::Wake(BellWord& word) {
  word.epoch.fetch_add(1);
  Futex(word.epoch, FUTEX_WAKE, INT_MAX, nullptr);
}

void Bell::Wait(uint32_t seen, Clock::duration timeout) {
  const int64_t ns = std::chrono::duration_cast<nanoseconds>(timeout).count();
  const timespec relative{.tv_sec = static_cast<time_t>(ns / 1000000000),
                          .tv_nsec = static_cast<long>(ns % 1000000000)};
  Futex(word_->epoch, FUTEX_WAIT, seen, &relative);
}

void Backoff::Pause(uint32_t seen, bool peers_ring, bool patient) {
  const Bell::Clock::time_point now = Bell::Clock::now();
  if (!waiting_) {
    waiting_ = true;
    since_ = now;
  }
  const Bell::Clock::duration waited = now - since_;
  const bool sleep = waited >= kYield || (peers_ring && patient);
  if (sleep && !listener_) {
    listener_.emplace(bell_);  // and one more poll
  } else if (sleep && peers_ring) {
    bell_.Wait(seen, kUntilRung);
  } else if (sleep) {
    bell_.Wait(seen, std::clamp<Bell::Clock::duration>(
                         waited / 8, kShortestSleep, kLongestSleep));
    if (bell_.epoch() != seen) Reset();
  } else if (waited < kKeep) {
    Relax();
  } else {
    sched_yield();
  }
}

}  // namespace eisbach::comm
