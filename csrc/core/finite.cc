#include "core/finite.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

namespace eisbach {
namespace {

// Bytes after which what was found is looked at.
constexpr size_t kBlock = 16384;

template <typename Word>
std::optional<size_t> FindExponent(std::span<const std::byte> bytes,
                                   Word exponent) {
  for (size_t at = 0; at + sizeof(Word) <= bytes.size(); at += sizeof(Word)) {
    Word word;
    std::memcpy(&word, bytes.data() + at, sizeof(Word));
    if ((word & exponent) == exponent) return at / sizeof(Word);
  }
  return std::nullopt;
}

// The first element whose exponent has ones alone. Several are looked at in one
// word: where an exponent is ones alone, its lowest bit added to it carries
// into the place of the sign, and never further.
template <typename Word>
std::optional<size_t> FirstOfExponent(std::span<const std::byte> bytes,
                                      Word exponent) {
  constexpr uint64_t kOnes = ~uint64_t{0} / std::numeric_limits<Word>::max();
  constexpr int kSign = 8 * sizeof(Word) - 1;
  const uint64_t exponents = kOnes * exponent;
  const uint64_t lowest = kOnes
                          << std::countr_zero(static_cast<uint64_t>(exponent));
  for (size_t begin = 0; begin < bytes.size(); begin += kBlock) {
    const auto block =
        bytes.subspan(begin, std::min(kBlock, bytes.size() - begin));
    const size_t whole = block.size() / sizeof(uint64_t) * sizeof(uint64_t);
    uint64_t carried = 0;
    for (size_t at = 0; at < whole; at += sizeof(uint64_t)) {
      uint64_t words;
      std::memcpy(&words, block.data() + at, sizeof(words));
      carried |= (words & exponents) + lowest;
    }
    const bool found = (carried & kOnes << kSign) != 0;
    const size_t from = found ? 0 : whole;
    const auto at = FindExponent(block.subspan(from), exponent);
    if (at) return (begin + from) / sizeof(Word) + *at;
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
