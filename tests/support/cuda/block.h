#pragma once

#include <cuda_runtime_api.h>
#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

#include "support/cuda/fiber.h"

// The state of the block that runs, and what its threads wait at.
namespace eisbach::emulation {

enum class ThreadState : uint8_t {
  kFresh,
  kRunnable,
  kAtBlockBarrier,
  kAtWarpBarrier,
  kDone,
};

struct Thread {
  Fiber fiber;
  uint3 index{};
  uint32_t lane = 0;
  uint32_t warp = 0;
  uint32_t mask = 0;
  ThreadState state = ThreadState::kFresh;
  const char* where = "";
};

struct Warp {
  uint32_t alive = 0;
  uint32_t arrived = 0;
  uint8_t source[32];
  alignas(16) unsigned char in[32][16];
  alignas(16) unsigned char out[32][16];
};

inline constexpr unsigned kMaxSharedVariables = 64;
// Dynamic shared memory of a block, where it is asked for.
inline constexpr int kMaxDynamicShared = 227 << 10;

struct Block {
  struct Variable {
    const void* tag;
    void* data;
  };
  uint3 index;
  dim3 grid;
  dim3 dim;
  Thread* threads;
  Warp* warps;
  unsigned size;
  unsigned alive;
  unsigned arrived;
  unsigned variables;
  Variable shared[kMaxSharedVariables];
  void* dynamic_shared;
};

constinit inline thread_local Thread* current = nullptr;
constinit inline thread_local Block* block = nullptr;

// 0: threads run in order; else in a shuffled one, another for every value
// (EISBACH_CUDA_SCHEDULE_SEED).
unsigned ScheduleSeed();

// Runs the whole grid on the calling thread. A wrong use of barriers or warp
// operations, and a deadlock, end the process and name block and thread.
void RunGrid(dim3 grid, dim3 dim, size_t dynamic_shared_bytes,
             const std::function<void()>& body);

[[noreturn]] void Fail(const char* what);
// Fails where a vector of so many bytes does not lie on a multiple of them.
EMULATION_RAW inline void CheckAligned(const void* p, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) {
    Fail("a vector that is not aligned");
  }
}
// Fails where `v` is no whole number that sums stay exact with.
void CheckWhole(double v);

void BlockBarrier(const char* where);
// `finish` is called by the last lane to come, before any goes on.
using Finish = void (*)(Warp&, uint32_t mask);
void WarpBarrier(uint32_t mask, const char* where, Finish finish);
inline uint32_t MaskOrAll(uint32_t mask = 0xffffffffu) { return mask; }

// The block's variable of that tag; filled with NaN patterns when it is new.
void* SharedVariable(const void* tag, size_t bytes, size_t alignment);
void* DynamicShared();

void FinishShuffle(Warp& warp, uint32_t mask);
void FinishBallot(Warp& warp, uint32_t mask);

// Gives v to the lanes of `mask` and takes the value of lane `source`. The last
// lane to come hands every lane its result, so a lane that runs ahead
// overwrites nothing that another still has to read.
template <class T>
EMULATION_RAW T Exchange(uint32_t mask, T v, uint32_t source, const char* where,
                         Finish finish = FinishShuffle) {
  static_assert(sizeof(T) <= 16 && std::is_trivially_copyable_v<T>);
  Warp& warp = block->warps[current->warp];
  __builtin_memcpy(warp.in[current->lane], &v, sizeof(T));
  warp.source[current->lane] = static_cast<uint8_t>(source);
  WarpBarrier(mask, where, finish);
  T result;
  __builtin_memcpy(&result, warp.out[current->lane], sizeof(T));
  return result;
}

}  // namespace eisbach::emulation
