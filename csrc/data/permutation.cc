#include "data/permutation.h"

#include "core/hash.h"

namespace eisbach::data {

Permutation::Permutation(int64_t size, uint64_t key) : size_(size) {
  while (int64_t{1} << (2 * half_bits_) < size) ++half_bits_;
  for (uint64_t& round_key : round_keys_) round_key = key = MixBits(key);
}

uint64_t Permutation::Encrypt(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (uint64_t round_key : round_keys_) {
    const uint64_t next = left ^ (MixBits(right ^ round_key) & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

int64_t Permutation::operator()(int64_t i) const {
  uint64_t value = static_cast<uint64_t>(i);
  do {
    value = Encrypt(value);
  } while (value >= static_cast<uint64_t>(size_));
  return static_cast<int64_t>(value);
}

}  // namespace eisbach::data
