#pragma once

#include <cstddef>
#include <cstdint>

// Fibers: many call stacks on one thread, switched by hand, also under
// AddressSanitizer and ThreadSanitizer. For the emulation of CUDA threads.

// The build that counts traffic has ThreadSanitizer's calls and not itself.
#if defined(__SANITIZE_THREAD__) && !defined(EISBACH_COUNT_TRAFFIC)
#define EMULATION_TSAN 1
// Code of the emulator itself, whose accesses are not the kernel's.
#define EMULATION_RAW __attribute__((no_sanitize_thread, noinline))
#else
#define EMULATION_TSAN 0
#define EMULATION_RAW
#endif
#if defined(__SANITIZE_ADDRESS__)
#define EMULATION_ASAN 1
#else
#define EMULATION_ASAN 0
#endif

namespace eisbach::emulation {

inline constexpr size_t kStackBytes = size_t{128} << 10;

struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;
  void* tsan = nullptr;
  void* fake_stack = nullptr;
};

// Gives `fiber` a stack on which `entry`, which never returns, will run.
void PrepareFiber(Fiber& fiber, void (*entry)());
// Runs `fiber` on the calling thread until it calls SwitchBack.
void SwitchTo(Fiber& fiber);
// First thing in a fiber's entry.
void FiberStarted();
// Goes on after SwitchTo; `last` when the fiber will not run again.
void SwitchBack(Fiber& fiber, bool last);
// The stack may serve another fiber.
void ReleaseFiber(Fiber& fiber);
// Under ThreadSanitizer: how many fibers take turns from now on, so that
// threads of different blocks are different threads to it.
void ReserveFibers(uint64_t fibers);

// Orders nothing: for the emulator's own work between two fibers' (TSan only).
class OnHostFiber {
 public:
  explicit OnHostFiber(const Fiber* current);
  ~OnHostFiber();

 private:
  const Fiber* current_;
};

void Release(void* address);  // happens-before edges for TSan
void Acquire(void* address);

}  // namespace eisbach::emulation
