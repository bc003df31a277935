#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace eisbach::comm {

// The state of a bell. Zeroed memory is a bell that nobody has rung; it may
// lie in memory that several processes share.
struct alignas(64) BellWord {
  std::atomic<uint32_t> epoch;
  std::atomic<uint32_t> sleepers;  // a process that dies asleep stays counted
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// Wakes the threads of one rank that have nothing to do. A sleeper reads the
// epoch, looks for work, and waits for the epoch to pass; a ring in between is
// not lost. Ringing costs two atomic operations when nobody sleeps.
//
// The epoch is a futex. All operations on the two words are sequentially
// consistent: a ringer that saw no sleeper has advanced the epoch before the
// sleeper counted itself, and the kernel, which compares the epoch once more,
// sends that sleeper back at once. What a ringer wrote before Ring() is seen
// by whoever reads the epoch that it left.
class Bell {
 public:
  using Clock = std::chrono::steady_clock;

  Bell() : word_(&own_) {}
  // The bell of `word`, which outlives it: here of this rank, or, to ring it,
  // of a rank in another process.
  explicit Bell(BellWord* word) : word_(word == nullptr ? &own_ : word) {}
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  uint32_t epoch() const { return word_->epoch.load(); }
  void Ring() { Ring(*word_); }
  static void Ring(BellWord& word) {
    word.epoch.fetch_add(1);
    if (word.sleepers.load() != 0) WakeAll(word);
  }

  // Returns once the bell has rung since it was at `seen`, or after `timeout`,
  // or for no reason.
  void Wait(uint32_t seen, Clock::duration timeout);

 private:
  static void WakeAll(BellWord& word);

  BellWord own_{};
  BellWord* const word_;
};

// How to wait between fruitless polls: keep the core for an instant and yield
// it for a short while, then sleep. Where peers ring, sleeps are long; where
// only polling tells (MPI), they grow with the time waited so far, so that
// what sleeping adds to a wait stays a small part of it.
class Backoff {
 public:
  void Reset() { waiting_ = false; }
  // `patient`: nobody waits for the outcome, so that where peers ring the core
  // is left to others at once.
  void Pause(Bell& bell, uint32_t seen, bool peers_ring, bool patient = false);

 private:
  bool waiting_ = false;
  Bell::Clock::time_point since_;
};

}  // namespace eisbach::comm
