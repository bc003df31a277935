#pragma once

#include <array>
#include <cstdint>

namespace eisbach::data {

// A pseudo-random permutation of [0, size) that needs no memory: any element
// can be computed alone. A balanced Feistel network over the next power of
// four, with SplitMix64's mixer as its round function, walked until it lands
// inside.
// Luby and Rackoff 1988; Black and Rogaway, "Ciphers with arbitrary finite
// domains", CT-RSA 2002.
class Permutation {
 public:
  // `size` is in [1, 2^62].
  Permutation(int64_t size, uint64_t key);

  int64_t size() const { return size_; }
  // `i` is in [0, size()).
  int64_t operator()(int64_t i) const;

 private:
  static constexpr int kRounds = 12;

  uint64_t Encrypt(uint64_t value) const;

  int64_t size_;
  int half_bits_ = 1;
  std::array<uint64_t, kRounds> round_keys_;
};

}  // namespace eisbach::data
