#include "support/cuda/bounds.h"

#include <cstdint>
#include <cstring>

#include "support/cuda/fiber.h"

namespace eisbach::emulation {
namespace {

#ifdef __x86_64__
using Instruction = uint8_t;
constexpr Instruction kNoop = 0x90;
// endbr64, where branches are guarded.
constexpr uint8_t kGuard[] = {0xf3, 0x0f, 0x1e, 0xfa};
#else
using Instruction = uint32_t;
constexpr Instruction kNoop = 0xd503201f;
constexpr uint8_t kGuard[] = {0x5f, 0x24, 0x03, 0xd5};  // bti c
#endif

}  // namespace

EMULATION_RAW unsigned BoundOf(const void* kernel) {
  auto* code = static_cast<const uint8_t*>(kernel);
  if (__builtin_memcmp(code, kGuard, sizeof(kGuard)) == 0) {
    code += sizeof(kGuard);
  }
  unsigned warps = 0;
  for (;; ++warps, code += sizeof(Instruction)) {
    Instruction instruction;
    __builtin_memcpy(&instruction, code, sizeof(instruction));
    if (instruction != kNoop) return warps * 32;
  }
}

}  // namespace eisbach::emulation
