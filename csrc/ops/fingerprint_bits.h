#pragma once

#include <cstdint>

// Free of tensors and of Abseil, for the kernels of every backend.
namespace eisbach::ops {

inline constexpr uint32_t kIndexFactor = 0x9e3779b1u;  // odd
inline constexpr uint32_t kMixFactor1 = 0x85ebca6bu;
inline constexpr uint32_t kMixFactor2 = 0xc2b2ae35u;

// The finaliser of MurmurHash3 (Appleby, https://github.com/aappleby/smhasher):
// one to one, for each index.
constexpr uint32_t MixElement(uint32_t bits, uint32_t index) {
  uint32_t h = bits ^ (index * kIndexFactor);
  h = (h ^ (h >> 16)) * kMixFactor1;
  h = (h ^ (h >> 13)) * kMixFactor2;
  return h ^ (h >> 16);
}

}  // namespace eisbach::ops
