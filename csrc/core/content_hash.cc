#include "core/content_hash.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_format.h"

namespace eisbach {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the hash reads words without byte swaps");

// The five primes of the specification.
constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87u;
constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4Fu;
constexpr uint64_t kPrime3 = 0x165667B19E3779F9u;
constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63u;
constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5u;

template <typename T>
T Read(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

uint64_t Round(uint64_t lane, uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

uint64_t MergeRound(uint64_t hash, uint64_t lane) {
  return (hash ^ Round(0, lane)) * kPrime1 + kPrime4;
}

}  // namespace

ContentHasher::ContentHasher()
    : lanes_{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1} {}

void ContentHasher::Add(std::span<const std::byte> bytes) {
  bytes_ += bytes.size();
  // Not the members, which `bytes` might be for all that a compiler knows.
  std::array<uint64_t, 4> lanes = lanes_;
  const auto block = [&lanes](const std::byte* p) {
    for (int i = 0; i < 4; ++i) {
      lanes[i] = Round(lanes[i], Read<uint64_t>(p + 8 * i));
    }
  };
  if (rest_bytes_ > 0) {
    const size_t more = std::min(bytes.size(), kBlock - rest_bytes_);
    std::copy_n(bytes.data(), more, rest_.data() + rest_bytes_);
    rest_bytes_ += more;
    bytes = bytes.subspan(more);
    if (rest_bytes_ < kBlock) return;
    block(rest_.data());
    rest_bytes_ = 0;
  }
  for (; bytes.size() >= kBlock; bytes = bytes.subspan(kBlock)) {
    block(bytes.data());
  }
  lanes_ = lanes;
  std::copy(bytes.begin(), bytes.end(), rest_.begin());
  rest_bytes_ = bytes.size();
}

uint64_t ContentHasher::hash() const {
  uint64_t hash = kPrime5;
  if (bytes_ >= kBlock) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) +
           std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (uint64_t lane : lanes_) hash = MergeRound(hash, lane);
  }
  hash += bytes_;
  const std::byte* p = rest_.data();
  size_t left = rest_bytes_;
  for (; left >= 8; left -= 8, p += 8) {
    hash =
        std::rotl(hash ^ Round(0, Read<uint64_t>(p)), 27) * kPrime1 + kPrime4;
  }
  if (left >= 4) {
    hash =
        std::rotl(hash ^ Read<uint32_t>(p) * kPrime1, 23) * kPrime2 + kPrime3;
    left -= 4;
    p += 4;
  }
  for (; left > 0; --left, ++p) {
    hash = std::rotl(hash ^ Read<uint8_t>(p) * kPrime5, 11) * kPrime1;
  }
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

uint64_t ContentHash(std::span<const std::byte> bytes) {
  ContentHasher hasher;
  hasher.Add(bytes);
  return hasher.hash();
}

uint64_t ContentHash(absl::string_view bytes) {
  return ContentHash(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

std::string HashText(uint64_t hash) { return absl::StrFormat("%016x", hash); }

}  // namespace eisbach
