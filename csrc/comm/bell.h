#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace eisbach::comm {

// The state of a bell. Zeroed memory is a bell that nobody has rung; it may
// lie in memory that several processes share.
struct alignas(64) BellWord {
  std::atomic<uint32_t> epoch;
  std::atomic<uint32_t> listeners;  // a process that dies stays counted
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// Wakes the threads of one rank that have nothing to do. Whoever is about to
// sleep says so (Listener), reads the epoch, looks for work once more, and
// waits for the epoch to pass; a ring in between is not lost. Ringing costs a
// fence and a load when nobody listens, and does not touch the epoch then.
//
// Between "there is work" and the look at the listeners, and between "I listen"
// and the last look for work, lies a sequentially consistent fence each: either
// the ringer sees the listener, or the listener the work. The epoch is a futex;
// the kernel compares it once more, so that a ring before the sleep begins
// sends the sleeper back at once. The bell orders nothing else: who looks for
// work orders what it finds.
class Bell {
 public:
  using Clock = std::chrono::steady_clock;

  // While it lives, rings are heard.
  class Listener {
   public:
    explicit Listener(Bell& bell) : word_(*bell.word_) {
      word_.listeners.fetch_add(1);
      Fence();
    }
    ~Listener() { word_.listeners.fetch_sub(1); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

   private:
    BellWord& word_;
  };

  Bell() : word_(&own_) {}
  // The bell of `word`, which outlives it; its own for null.
  explicit Bell(BellWord* word) : word_(word == nullptr ? &own_ : word) {}
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  uint32_t epoch() const { return word_->epoch.load(); }
  void Ring() { Ring(*word_); }
  // Also of a rank in another process.
  static void Ring(BellWord& word) {
    Fence();
    if (word.listeners.load(std::memory_order_relaxed) != 0) Wake(word);
  }

  // For listeners. Returns once the bell has rung since it was at `seen`, or
  // after `timeout`, or for no reason.
  void Wait(uint32_t seen, Clock::duration timeout);

 private:
  static void Fence();
  static void Wake(BellWord& word);

  BellWord own_{};
  BellWord* const word_;
};

// How to wait between fruitless polls: keep the core for an instant and yield
// it for a short while, then sleep. Where peers ring, sleeps are long; where
// only polling tells (MPI), they grow with the time waited so far, so that
// what sleeping adds to a wait stays a small part of it.
class Backoff {
 public:
  explicit Backoff(Bell& bell) : bell_(bell) {}

  void Reset() {
    waiting_ = false;
    listener_.reset();
  }
  // `seen` is the bell's epoch before the poll. `patient`: nobody waits for the
  // outcome, so that where peers ring the core is left to others at once.
  void Pause(uint32_t seen, bool peers_ring, bool patient = false);

 private:
  Bell& bell_;
  bool waiting_ = false;
  Bell::Clock::time_point since_;
  std::optional<Bell::Listener> listener_;
};

}  // namespace eisbach::comm
