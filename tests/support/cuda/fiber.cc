#include "support/cuda/fiber.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if EMULATION_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if EMULATION_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

// Saves the callee-saved registers on the running stack and goes on on another.
// It leaves by a jump and not by a return: the processor would predict a return
// to the caller, which is wrong every time.
extern "C" void eisbach_switch_stack(void** save, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.globl eisbach_switch_stack
.type eisbach_switch_stack,@function
eisbach_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size eisbach_switch_stack,.-eisbach_switch_stack
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl eisbach_switch_stack
.type eisbach_switch_stack,%function
eisbach_switch_stack:
  stp d8, d9, [sp, #-160]!
  stp d10, d11, [sp, #16]
  stp d12, d13, [sp, #32]
  stp d14, d15, [sp, #48]
  stp x19, x20, [sp, #64]
  stp x21, x22, [sp, #80]
  stp x23, x24, [sp, #96]
  stp x25, x26, [sp, #112]
  stp x27, x28, [sp, #128]
  stp x29, x30, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x29, x30, [sp, #144]
  ldp x27, x28, [sp, #128]
  ldp x25, x26, [sp, #112]
  ldp x23, x24, [sp, #96]
  ldp x21, x22, [sp, #80]
  ldp x19, x20, [sp, #64]
  ldp d14, d15, [sp, #48]
  ldp d12, d13, [sp, #32]
  ldp d10, d11, [sp, #16]
  ldp d8, d9, [sp], #160
  br x30
.size eisbach_switch_stack,.-eisbach_switch_stack
)");
#else
#error "the switch of stacks is written for x86-64 and aarch64"
#endif

namespace eisbach::emulation {
namespace {

// What eisbach_switch_stack finds on a stack: the saved registers and above
// them the address to go on at. A function begins with the stack pointer at a
// multiple of 16 bytes, on x86-64 below a return address.
#if defined(__x86_64__)
constexpr int kSavedRegisters = 6;
constexpr int kReturnAddresses = 1;
#else
constexpr int kSavedRegisters = 19;
constexpr int kReturnAddresses = 0;
#endif

thread_local std::vector<char*> free_stacks;
thread_local void* host_stack_pointer = nullptr;
[[maybe_unused]] thread_local void* host_tsan = nullptr;
[[maybe_unused]] thread_local void* host_fake_stack = nullptr;
[[maybe_unused]] thread_local const void* host_bottom = nullptr;
[[maybe_unused]] thread_local size_t host_size = 0;

// A stack that two of its threads used would look like a race to TSan, so each
// of its fibers keeps one.
struct TsanFiber {
  void* fiber;
  char* stack;
};
[[maybe_unused]] thread_local std::vector<TsanFiber> tsan_fibers;
[[maybe_unused]] thread_local size_t next_tsan_fiber = 0;

EMULATION_RAW char* TakeStack() {
  if (!free_stacks.empty()) {
    char* stack = free_stacks.back();
    free_stacks.pop_back();
    return stack;
  }
  void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) {
    std::fputs("cuda emulation: no memory for a stack\n", stderr);
    std::abort();
  }
  // An overflow traps instead of overwriting another thread's stack.
  mprotect(stack, 4096, PROT_NONE);
  return static_cast<char*>(stack);
}

}  // namespace

EMULATION_RAW void ReserveFibers([[maybe_unused]] uint64_t fibers) {
#if EMULATION_TSAN
  host_tsan = __tsan_get_current_fiber();
  while (tsan_fibers.size() < fibers) {
    tsan_fibers.push_back({__tsan_create_fiber(0), TakeStack()});
  }
  next_tsan_fiber = 0;
#endif
}

EMULATION_RAW void PrepareFiber(Fiber& fiber, void (*entry)()) {
#if EMULATION_TSAN
  TsanFiber& own = tsan_fibers[next_tsan_fiber++ % tsan_fibers.size()];
  fiber.stack = own.stack;
  fiber.tsan = own.fiber;
#else
  fiber.stack = TakeStack();
#endif
  // The tops differ modulo a page, or all stacks would fall into the same few
  // sets of the cache.
  const size_t colour =
      reinterpret_cast<uintptr_t>(fiber.stack) / kStackBytes % 32 * 320;
  auto* top = reinterpret_cast<void**>(fiber.stack + kStackBytes - 64 - colour);
  for (int i = 0; i < kReturnAddresses; ++i) *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  fiber.stack_pointer = top - kSavedRegisters;
}

EMULATION_RAW void SwitchTo(Fiber& fiber) {
#if EMULATION_ASAN
  __sanitizer_start_switch_fiber(&host_fake_stack, fiber.stack, kStackBytes);
#endif
#if EMULATION_TSAN
  __tsan_switch_to_fiber(fiber.tsan, __tsan_switch_to_fiber_no_sync);
#endif
  eisbach_switch_stack(&host_stack_pointer, fiber.stack_pointer);
#if EMULATION_ASAN
  __sanitizer_finish_switch_fiber(host_fake_stack, nullptr, nullptr);
#endif
}

EMULATION_RAW void FiberStarted() {
#if EMULATION_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &host_bottom, &host_size);
#endif
}

void SwitchBack(Fiber& fiber, [[maybe_unused]] bool last) {
#if EMULATION_ASAN
  __sanitizer_start_switch_fiber(last ? nullptr : &fiber.fake_stack,
                                 host_bottom, host_size);
#endif
#if EMULATION_TSAN
  __tsan_switch_to_fiber(host_tsan, __tsan_switch_to_fiber_no_sync);
#endif
  eisbach_switch_stack(&fiber.stack_pointer, host_stack_pointer);
#if EMULATION_ASAN
  __sanitizer_finish_switch_fiber(fiber.fake_stack, nullptr, nullptr);
#endif
}

EMULATION_RAW void ReleaseFiber(Fiber& fiber) {
  if (!EMULATION_TSAN) free_stacks.push_back(fiber.stack);
  fiber.stack = nullptr;
}

EMULATION_RAW OnHostFiber::OnHostFiber(const Fiber* current)
    : current_(current) {
#if EMULATION_TSAN
  if (current_ != nullptr) {
    __tsan_switch_to_fiber(host_tsan, __tsan_switch_to_fiber_no_sync);
  }
#endif
}

EMULATION_RAW OnHostFiber::~OnHostFiber() {
#if EMULATION_TSAN
  if (current_ != nullptr) {
    __tsan_switch_to_fiber(current_->tsan, __tsan_switch_to_fiber_no_sync);
  }
#endif
}

EMULATION_RAW void Release([[maybe_unused]] void* address) {
#if EMULATION_TSAN
  __tsan_release(address);
#endif
}
EMULATION_RAW void Acquire([[maybe_unused]] void* address) {
#if EMULATION_TSAN
  __tsan_acquire(address);
#endif
}

}  // namespace eisbach::emulation
