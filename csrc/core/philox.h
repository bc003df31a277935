#pragma once

#include <array>
#include <cstdint>

namespace eisbach {

// Philox4x32-10, a counter-based random number generator: the value depends on
// key and counter alone, so any rank can compute any element.
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
//
// Plain constexpr code without library calls: the same source serves CPU, CUDA
// and the tests' emulation.
using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

constexpr PhiloxCounter Philox(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0],
         static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1],
         static_cast<uint32_t>(p0)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

constexpr PhiloxKey MakePhiloxKey(uint64_t seed) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
}

// A uniform float in [0, 1) with 24 random bits.
constexpr float ToUniform(uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

// Two independent N(0, 1) values by Box-Muller, computed in double so that
// every platform's libm rounds to the same float in all but rare ties.
std::array<float, 2> ToNormal(uint32_t a, uint32_t b);

}  // namespace eisbach
