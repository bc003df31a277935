#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "core/mix_bits.h"  // IWYU pragma: export

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

}  // namespace eisbach
