#include "core/finite.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace eisbach {
namespace {

constexpr size_t kBlock = 4096;

// An exponent of ones alone.
template <typename Word>
std::optional<size_t> FirstOfExponent(std::span<const std::byte> bytes,
                                      Word exponent) {
  const size_t count = bytes.size() / sizeof(Word);
  Word block[kBlock];
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t size = std::min(kBlock, count - begin);
    std::memcpy(block, bytes.data() + begin * sizeof(Word),
                size * sizeof(Word));
    bool found = false;
    for (size_t i = 0; i < size; ++i) {
      found |= (block[i] & exponent) == exponent;
    }
    if (!found) continue;
    return begin + (std::find_if(block, block + size,
                                 [&](Word word) {
                                   return (word & exponent) == exponent;
                                 }) -
                    block);
  }
  return std::nullopt;
}

}  // namespace

std::optional<size_t> FirstNonFinite(DType dtype,
                                     std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::kF64:
      return FirstOfExponent<uint64_t>(bytes, uint64_t{0x7ff} << 52);
    case DType::kF32:
      return FirstOfExponent<uint32_t>(bytes, uint32_t{0xff} << 23);
    case DType::kBF16:
      return FirstOfExponent<uint16_t>(bytes, 0x7f80);
    case DType::kF16:
      return FirstOfExponent<uint16_t>(bytes, 0x7c00);
    default:
      return std::nullopt;
  }
}

}  // namespace eisbach
