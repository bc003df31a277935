#pragma once

#include <cstdint>

#include "core/philox.h"

// Free of tensors and of Abseil, for the kernels of every backend.
namespace eisbach::ops {

// Elements that draw from one Philox value: element i has the low half of word
// i % 8 / 2 where i is even, the high half where it is odd.
inline constexpr int kRoundingGroup = 8;

constexpr PhiloxCounter RoundingCounter(uint64_t group, uint64_t step) {
  return {static_cast<uint32_t>(group), static_cast<uint32_t>(group >> 32),
          static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)};
}

// The bits of a bf16 from those of an f32: truncated after adding 16 random
// bits below its last one, so that the mean over them is the value itself.
// What bf16 holds stays as it is; NaN stays NaN.
constexpr uint16_t RoundToBF16(uint32_t bits, uint32_t random16) {
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<uint16_t>(nan ? bits >> 16 | 0x40u
                                   : (bits + random16) >> 16);
}

}  // namespace eisbach::ops
