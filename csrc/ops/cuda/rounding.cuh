#pragma once

#include "ops/cuda/stochastic_rounding_kernels.h"
#include "ops/cuda/vector.cuh"
#include "ops/rounding_bits.h"

namespace eisbach::cuda {

// The random words of the group that element `index` is of.
__device__ __forceinline__ PhiloxCounter RoundingWords(const Rounding& rounding,
                                                       uint64_t index) {
  const uint64_t step = static_cast<uint64_t>(*rounding.step);
  return Philox(ops::RoundingCounter(index / ops::kRoundingGroup, step),
                MakePhiloxKey(rounding.key));
}

__device__ __forceinline__ uint16_t RoundedBits(float x, uint32_t random16) {
  return ops::RoundToBF16(__float_as_uint(x), random16);
}

// Rounds x[at], element rounding.first + at of its buffer.
__device__ __forceinline__ void StoreRounded(BF16* p, float x, long long at,
                                             const Rounding& rounding) {
  const uint64_t index = static_cast<uint64_t>(rounding.first + at);
  const PhiloxCounter words = RoundingWords(rounding, index);
  // No index into registers.
  const uint32_t low = index & 2 ? words[1] : words[0];
  const uint32_t high = index & 2 ? words[3] : words[2];
  const uint32_t word = index & 4 ? high : low;
  const uint32_t random16 = index & 1 ? word >> 16 : word & 0xffffu;
  reinterpret_cast<uint16_t*>(p)[at] = RoundedBits(x, random16);
}

// The same of x[at] to x[at + 3] in 8 bytes; rounding.first + at is a multiple
// of 4.
__device__ __forceinline__ void StoreFourRounded(BF16* p, const float (&x)[4],
                                                 long long at,
                                                 const Rounding& rounding) {
  const uint64_t index = static_cast<uint64_t>(rounding.first + at);
  const PhiloxCounter words = RoundingWords(rounding, index);
  const uint32_t a = index & 4 ? words[2] : words[0];
  const uint32_t b = index & 4 ? words[3] : words[1];
  uint2 word;
  word.x = RoundedBits(x[0], a & 0xffffu) |
           static_cast<uint32_t>(RoundedBits(x[1], a >> 16)) << 16;
  word.y = RoundedBits(x[2], b & 0xffffu) |
           static_cast<uint32_t>(RoundedBits(x[3], b >> 16)) << 16;
  AsWord<uint2>(p + at) = word;
}

}  // namespace eisbach::cuda
