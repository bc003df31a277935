#pragma once

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

std::string HashText(uint64_t hash);  // 16 hexadecimal digits

}  // namespace eisbach
