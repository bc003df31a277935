#pragma once

#include <cstdint>

#include "core/mix_bits.h"
#include "core/philox.h"

// Free of tensors and of Abseil, for the kernels of every backend.
namespace eisbach::ops {

// The random bits, the same on every backend: word `feature % 4` of Philox with
// this key and counter. Dropped is what has ToUniform(word) < p.
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
