#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace eisbach::comm {

// Wakes the threads of one rank that have nothing to do. A sleeper reads the
// epoch, looks for work, and waits for the epoch to pass; a ring in between is
// not lost. Ringing costs two atomic operations when nobody sleeps.
class Bell {
 public:
  using Clock = std::chrono::steady_clock;

  uint64_t epoch() const { return epoch_.load(); }

  void Ring() {
    epoch_.fetch_add(1);
    if (sleepers_.load() == 0) return;
    { std::lock_guard<std::mutex> lock(mutex_); }
    condition_.notify_all();
  }

  // Returns once the bell has rung since it was at `seen`, or after `timeout`.
  void Wait(uint64_t seen, Clock::duration timeout) {
    sleepers_.fetch_add(1);
    {
      std::unique_lock<std::mutex> lock(mutex_);
      condition_.wait_for(lock, timeout, [&] { return epoch_.load() != seen; });
    }
    sleepers_.fetch_sub(1);
  }

 private:
  std::atomic<uint64_t> epoch_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable condition_;
};

// How to wait between fruitless polls: yield the core for a short while, then
// sleep. Where peers ring, sleeps are long; where only polling tells (MPI),
// they grow with the time waited so far, so that what sleeping adds to a wait
// stays a small part of it.
class Backoff {
 public:
  explicit Backoff(bool peers_ring) : peers_ring_(peers_ring) {}

  void Reset() { waiting_ = false; }
  void Pause(Bell& bell, uint64_t seen);

 private:
  const bool peers_ring_;
  bool waiting_ = false;
  Bell::Clock::time_point since_;
};

}  // namespace eisbach::comm
