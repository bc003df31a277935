#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/strings/string_view.h"

namespace eisbach {

// XXH64 with seed 0 (https://github.com/Cyan4973/xxHash, "xxHash fast digest
// algorithm", version 0.1.1): what `xxh64sum` prints for the same bytes. Finds
// damage, at memory speed; no protection from forgery.
uint64_t ContentHash(std::span<const std::byte> bytes);
uint64_t ContentHash(absl::string_view bytes);

// The same of bytes that come in pieces, however they are cut.
class ContentHasher {
 public:
  ContentHasher();
  void Add(std::span<const std::byte> bytes);
  // Of all bytes so far.
  uint64_t hash() const;

 private:
  static constexpr size_t kBlock = 32;

  std::array<uint64_t, 4> lanes_;
  std::array<std::byte, kBlock> rest_;  // of the last block, which is not full
  size_t rest_bytes_ = 0;
  uint64_t bytes_ = 0;
};

std::string HashText(uint64_t hash);  // 16 hexadecimal digits

}  // namespace eisbach
