#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace eisbach {

// 64-bit FNV-1a. Stable across machines and versions: seeds and file names may
// depend on it.
constexpr uint64_t StableHash(absl::string_view text,
                              uint64_t seed = 0xcbf29ce484222325u) {
  uint64_t h = seed;
  for (char c : text) {
    h ^= static_cast<uint8_t>(c);
    h *= 0x100000001b3u;
  }
  return h;
}

// SplitMix64's finaliser: mixes `x` into all 64 bits.
constexpr uint64_t MixBits(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace eisbach
