#include "support/cuda/block.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "support/cuda/window.h"

namespace eisbach::emulation {
namespace {

thread_local const std::function<void()>* kernel = nullptr;
// What the launching thread wrote is there for all threads of the grid, and
// what they wrote for it (addresses for TSan).
char launch_begin, launch_end;

EMULATION_RAW void ReleaseBlock() {
  for (unsigned i = 0; i < block->size; ++i) {
    Thread& thread = block->threads[i];
    if (thread.state == ThreadState::kAtBlockBarrier) {
      thread.state = ThreadState::kRunnable;
    }
  }
  block->arrived = 0;
}

EMULATION_RAW void FinishThread() {
  Warp& warp = block->warps[current->warp];
  current->state = ThreadState::kDone;
  warp.alive &= ~(1u << current->lane);
  if (--block->alive > 0 && block->arrived == block->alive) ReleaseBlock();
  Release(&launch_end);
}

EMULATION_RAW void ThreadEntry() {
  FiberStarted();
  Acquire(&launch_begin);
  (*kernel)();
  FinishThread();
  SwitchBack(current->fiber, /*last=*/true);
  __builtin_unreachable();
}

EMULATION_RAW void Resume(Thread& thread) {
  if (thread.state == ThreadState::kFresh) {
    PrepareFiber(thread.fiber, &ThreadEntry);
    thread.state = ThreadState::kRunnable;
  }
  current = &thread;
  SwitchTo(thread.fiber);
  if (thread.state == ThreadState::kDone) ReleaseFiber(thread.fiber);
  current = nullptr;
}

// The lanes of a warp until all of them wait or are done; whether any ran.
EMULATION_RAW bool RunWarp(Thread* threads, unsigned count,
                           const unsigned* lanes) {
  bool ran = false;
  for (bool again = true; again;) {
    again = false;
    for (unsigned j = 0; j < 32; ++j) {
      if (lanes[j] >= count) continue;
      Thread& thread = threads[lanes[j]];
      if (thread.state > ThreadState::kRunnable) continue;
      Resume(thread);
      again = ran = true;
    }
  }
  return ran;
}

// Of two places in the source, each a literal.
EMULATION_RAW bool Same(const char* a, const char* b) {
  return a == b || std::strcmp(a, b) == 0;
}

EMULATION_RAW void FailDeadlock(const Block& stuck) {
  for (unsigned i = 0; i < stuck.size; ++i) {
    const Thread& thread = stuck.threads[i];
    if (thread.state == ThreadState::kDone) continue;
    std::fprintf(stderr, "thread %u waits at %s\n", i, thread.where);
    break;
  }
  Fail("deadlock: no thread of the block can go on");
}

}  // namespace

unsigned ScheduleSeed() {
  static const unsigned seed = [] {
    const char* text = std::getenv("EISBACH_CUDA_SCHEDULE_SEED");
    return text == nullptr ? 0u : static_cast<unsigned>(std::atoi(text));
  }();
  return seed;
}

EMULATION_RAW void Fail(const char* what) {
  if (current != nullptr) {
    std::fprintf(stderr,
                 "cuda emulation: %s, block (%u,%u,%u) thread (%u,%u,%u)\n",
                 what, block->index.x, block->index.y, block->index.z,
                 current->index.x, current->index.y, current->index.z);
  } else {
    std::fprintf(stderr, "cuda emulation: %s\n", what);
  }
  std::_Exit(66);
}

void CheckWhole(double v) {
  if (v != std::floor(v) || std::abs(v) > 1e9) {
    Fail("atomicAdd of a fraction, whose sum depends on the order");
  }
}

EMULATION_RAW void BlockBarrier(const char* where) {
  current->where = where;
  Release(block);
  if (++block->arrived == block->alive) {
    // All wait at one line of source, or the barrier is divergent, which CUDA
    // leaves undefined.
    for (unsigned i = 0; i < block->size; ++i) {
      const Thread& thread = block->threads[i];
      if (thread.state == ThreadState::kAtBlockBarrier &&
          !Same(thread.where, where)) {
        Fail("divergent __syncthreads");
      }
    }
    ReleaseBlock();
  } else {
    current->state = ThreadState::kAtBlockBarrier;
    SwitchBack(current->fiber, /*last=*/false);
  }
  Acquire(block);
}

EMULATION_RAW void FinishShuffle(Warp& warp, uint32_t mask) {
  for (unsigned i = 0; i < 32; ++i) {
    if ((mask >> i & 1) == 0) continue;
    const unsigned source = mask >> warp.source[i] & 1 ? warp.source[i] : i;
    __builtin_memcpy(warp.out[i], warp.in[source], 16);
  }
}

EMULATION_RAW void FinishBallot(Warp& warp, uint32_t mask) {
  uint32_t votes = 0;
  for (unsigned i = 0; i < 32; ++i) {
    votes |= static_cast<uint32_t>((mask >> i & 1) && warp.in[i][0]) << i;
  }
  for (unsigned i = 0; i < 32; ++i) {
    if (mask >> i & 1) __builtin_memcpy(warp.out[i], &votes, 4);
  }
}

EMULATION_RAW void WarpBarrier(uint32_t mask, const char* where,
                               Finish finish) {
  Warp& warp = block->warps[current->warp];
  const uint32_t me = 1u << current->lane;
  if ((mask & me) == 0) {
    Fail("a lane calls a warp operation whose mask leaves it out");
  }
  if (mask & ~warp.alive) {
    Fail(
        "the mask of a warp operation names a lane that has exited or does "
        "not exist");
  }
  current->mask = mask;
  current->where = where;
  Release(&warp);
  warp.arrived |= me;
  if ((warp.arrived & mask) == mask) {
    Thread* lanes = block->threads + current->warp * 32;
    for (unsigned i = 0; i < 32; ++i) {
      if ((mask >> i & 1) == 0) continue;
      if (lanes[i].mask != mask) {
        Fail("lanes meet in a warp operation with different masks");
      }
      if (!Same(lanes[i].where, where)) {
        Fail("lanes meet in different warp operations");
      }
      lanes[i].state = ThreadState::kRunnable;
    }
    warp.arrived &= ~mask;
    if (finish != nullptr) finish(warp, mask);
  } else {
    current->state = ThreadState::kAtWarpBarrier;
    SwitchBack(current->fiber, /*last=*/false);
  }
  Acquire(&warp);
}

EMULATION_RAW void* SharedVariable(const void* tag, size_t bytes,
                                   size_t alignment) {
  void* data = nullptr;
  for (unsigned i = 0; i < block->variables; ++i) {
    if (block->shared[i].tag == tag) data = block->shared[i].data;
  }
  if (data == nullptr) {
    if (block->variables == kMaxSharedVariables) {
      Fail("more shared variables in a kernel than the emulation holds");
    }
    // The allocation is no thread's write.
    const OnHostFiber host(current == nullptr ? nullptr : &current->fiber);
    // Not aligned_alloc, which wants whole multiples of the alignment: the
    // bytes behind the variable are for AddressSanitizer to guard.
    if (posix_memalign(&data, std::max<size_t>(alignment, 16), bytes) != 0) {
      Fail("no memory for a shared variable");
    }
    std::memset(data, 0xff, bytes);
    block->shared[block->variables++] = {tag, data};
    Release(data);
  }
  if (current != nullptr) Acquire(data);
  return data;
}

EMULATION_RAW void* DynamicShared() {
  Acquire(block->dynamic_shared);
  return block->dynamic_shared;
}

EMULATION_RAW void RunGrid(dim3 grid, dim3 dim, size_t dynamic_shared_bytes,
                           const std::function<void()>& body) {
  const unsigned threads = dim.x * dim.y * dim.z, warps = (threads + 31) / 32;
  if (threads == 0 || threads > 1024 || grid.x == 0 || grid.y == 0 ||
      grid.z == 0 || grid.y > 65535 || grid.z > 65535) {
    Fail("invalid launch configuration");
  }
  if (dynamic_shared_bytes > kMaxDynamicShared) {
    Fail("more dynamic shared memory than an SM has");
  }
  const std::unique_ptr<Thread[]> all_threads(new Thread[threads]);
  const std::unique_ptr<Warp[]> all_warps(new Warp[warps]);
  std::vector<unsigned> order(warps);
  unsigned lanes[32];
  for (unsigned i = 0; i < warps; ++i) order[i] = i;
  for (unsigned i = 0; i < 32; ++i) lanes[i] = i;
  const unsigned seed = ScheduleSeed();
  std::mt19937 random(seed);
  // Under TSan, memory is kept to the end: barriers of two blocks must not
  // look as if they were one.
  std::vector<void*> kept;
  kernel = &body;
  const uint64_t total = uint64_t{threads} * grid.x * grid.y * grid.z;
  ReserveFibers(std::min<uint64_t>(total, std::max(2 * threads, 16u)));
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  for (uint64_t number = 0; number < blocks;
       number = NextBlock(number, blocks)) {
    Block* b = static_cast<Block*>(std::calloc(1, sizeof(Block)));
    b->index = {static_cast<unsigned>(number % grid.x),
                static_cast<unsigned>(number / grid.x % grid.y),
                static_cast<unsigned>(number / grid.x / grid.y)};
    b->grid = grid;
    b->dim = dim;
    b->threads = all_threads.get();
    b->warps = all_warps.get();
    b->size = b->alive = threads;
    block = b;
    for (unsigned i = 0; i < threads; ++i) {
      all_threads[i] = Thread();
      all_threads[i].index = {i % dim.x, i / dim.x % dim.y, i / dim.x / dim.y};
      all_threads[i].lane = i % 32;
      all_threads[i].warp = i / 32;
    }
    for (unsigned i = 0; i < warps; ++i) {
      const unsigned count = std::min(32u, threads - i * 32);
      all_warps[i].alive = count == 32 ? ~0u : (1u << count) - 1;
      all_warps[i].arrived = 0;
    }
    if (dynamic_shared_bytes > 0) {
      b->dynamic_shared =
          SharedVariable(&launch_end, dynamic_shared_bytes, 128);
    }
    Release(&launch_begin);
    if (seed != 0) {
      std::shuffle(order.begin(), order.end(), random);
      std::shuffle(lanes, lanes + 32, random);
    }
    while (b->alive > 0) {
      bool ran = false;
      for (const unsigned warp : order) {
        ran |= RunWarp(all_threads.get() + warp * 32,
                       std::min(32u, threads - warp * 32), lanes);
      }
      if (!ran) FailDeadlock(*b);
    }
    for (unsigned i = 0; i < b->variables; ++i) {
      kept.push_back(b->shared[i].data);
    }
    kept.push_back(b);
    if (!EMULATION_TSAN) {
      for (void* data : kept) std::free(data);
      kept.clear();
    }
  }
  block = nullptr;
  Acquire(&launch_end);
  for (void* data : kept) std::free(data);
}

}  // namespace eisbach::emulation
