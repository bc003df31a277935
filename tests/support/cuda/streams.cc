#include "support/cuda/streams.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "support/cuda/graph.h"
#include "support/cuda/host_access.h"
#include "support/cuda/stream_types.h"

namespace eisbach::doubles {
namespace {

uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("EISBACH_CUDA_DOUBLE_SEED");
    return text == nullptr ? uint64_t{1} : std::strtoull(text, nullptr, 10);
  }();
  return seed;
}

std::mt19937_64& Random() {
  static std::mt19937_64 random(Seed());
  return random;
}

bool waits_for_peer = false;
// The thread that has put the first work on a stream. Others, such as a
// watchdog, hold nobody up when they poll.
std::thread::id host;
// It has, since it put work on a stream last.
bool polled = false;

// Tries the first work of one stream; whether it is done and gone.
bool Step(Stream& stream) {
  if (stream.queue.empty() || stream.running) return false;
  stream.running = true;
  const bool done = stream.queue.front()();
  stream.running = false;
  if (done) stream.queue.pop_front();
  return done;
}

// Tries every stream once, in a random order; whether anything went on.
bool TryAll() {
  std::vector<Stream*> all(Streams().begin(), Streams().end());
  std::shuffle(all.begin(), all.end(), Random());
  bool any = false;
  for (Stream* stream : all) {
    // Streams advance by different amounts.
    for (uint64_t n = 1 + Random()() % 4; n > 0 && Step(*stream); --n) {
      any = true;
    }
  }
  return any;
}

bool Round() { return WithDeviceMemory(&TryAll); }

}  // namespace

std::recursive_mutex& Lock() {
  static auto* const mutex = new std::recursive_mutex;
  return *mutex;
}

std::set<Stream*>& Streams() {
  // Devices of static life end after everything else: nothing here ends.
  static auto* const streams = new std::set<Stream*>;
  return *streams;
}

Counters& counters() {
  static Counters counters;
  return counters;
}

uint64_t Chance() { return Random()(); }

void WaitsForPeer() { waits_for_peer = true; }

cudaError_t Enqueue(cudaStream_t handle, Work work) {
  // Work is a state machine of one use: a graph keeps copies.
  return EnqueueMade(handle, [work = std::move(work)] { return work; });
}

cudaError_t EnqueueMade(cudaStream_t handle, MakeWork make) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  if (handle == nullptr) {
    std::fputs("cuda double: work on the default stream\n", stderr);
    return cudaErrorInvalidResourceHandle;
  }
  if (host == std::thread::id()) host = std::this_thread::get_id();
  if (host == std::this_thread::get_id()) polled = false;
  Stream& stream = *handle;
  if (Capturing(stream)) return AddToGraph(stream, std::move(make));
  stream.queue.push_back(make());
  if (Seed() == 0) {
    while (Round()) {
    }
  } else {
    while (Random()() % 3 == 0 && Round()) {
    }
  }
  return cudaSuccess;
}

void Advance() {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  if (Seed() == 0 || Random()() % 2 == 0) Round();
}

void Polled() {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  if (host == std::this_thread::get_id()) {
    if (polled) ++counters().host_synchronisations;
    polled = true;
  }
  Advance();
}

void DriveUntil(const std::function<bool()>& done) {
  int fruitless = 0, idle = 0;
  while (true) {
    {
      std::lock_guard<std::recursive_mutex> lock(Lock());
      if (done()) return;
      waits_for_peer = false;
      if (Round()) {
        fruitless = idle = 0;
        continue;
      }
      // Streams advance by chance, so once is not enough to say "stuck".
      if (!waits_for_peer && ++fruitless > 100) {
        if (done()) return;
        std::fputs(
            "cuda double: the host waits for what no stream will do "
            "(an event that is never recorded?)\n",
            stderr);
        std::_Exit(66);
      }
    }
    // Peers want the cores as well, and there may be fewer than ranks.
    ++idle < 50 ? sched_yield() : usleep(100);
  }
}

}  // namespace eisbach::doubles
