#pragma once

#include <cmath>
#include <cstdint>

#include "core/mix_bits.h"
#include "core/philox.h"

// Free of tensors and of Abseil, for the kernels of every backend.
namespace eisbach::ops {

// Of 2^24 values of a uniform, as many are dropped: the least number that is a
// share of p or more.
inline constexpr double kMostDropout = 1 - 0x1p-24;  // one is kept
inline uint32_t DropoutThreshold(double p) {
  return static_cast<uint32_t>(std::ceil(p * 0x1p24));
}
// What is kept is multiplied by it, so that the mean stays, also where p is so
// near 1 that the threshold rounds 1 - p.
inline float DropoutScale(uint32_t threshold) {
  return 0x1p24f / static_cast<float>((1 << 24) - threshold);
}

// The random bits, the same on every backend: word `feature % 4` of Philox with
// this key and counter. Dropped is what has word >> 8 < threshold.
constexpr PhiloxKey DropoutKey(uint64_t seed, uint64_t layer, uint64_t sample,
                               uint64_t step) {
  const uint64_t upper = (sample >> 32 << 32) | (step >> 32);
  return MakePhiloxKey(MixBits(MixBits(seed ^ MixBits(layer)) ^ upper));
}
constexpr PhiloxCounter DropoutCounter(uint64_t feature, uint64_t position,
                                       uint64_t sample, uint64_t step) {
  return {static_cast<uint32_t>(feature / 4), static_cast<uint32_t>(position),
          static_cast<uint32_t>(sample), static_cast<uint32_t>(step)};
}

}  // namespace eisbach::ops
