#pragma once

#include <cstdint>

namespace eisbach::emulation {

// While one lives, only the first and last `blocks` of a grid run: what a grid
// of billions of threads does at its ends. Not for several threads.
class OnlyEnds {
 public:
  explicit OnlyEnds(uint64_t blocks);
  ~OnlyEnds();
  OnlyEnds(const OnlyEnds&) = delete;
  OnlyEnds& operator=(const OnlyEnds&) = delete;
};

// The block of `total` that runs after `number`.
uint64_t NextBlock(uint64_t number, uint64_t total);

}  // namespace eisbach::emulation
