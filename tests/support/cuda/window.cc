#include "support/cuda/window.h"

#include <algorithm>

namespace eisbach::emulation {
namespace {

uint64_t ends = 0;  // 0: all blocks run

}  // namespace

OnlyEnds::OnlyEnds(uint64_t blocks) { ends = blocks; }
OnlyEnds::~OnlyEnds() { ends = 0; }

uint64_t NextBlock(uint64_t number, uint64_t total) {
  ++number;
  if (ends == 0 || number < ends || total < ends) return number;
  return std::max(number, total - ends);
}

}  // namespace eisbach::emulation
