#pragma once

#include <string>
#include <vector>

namespace eisbach::comm {

// Above this many ranks several make an id, each for its part of them, as one
// rank that meets all others by itself is slow (ncclCommInitRankScalable).
inline constexpr int kRanksPerId = 256;

// The ranks that make an id: the first of each of the contiguous, nearly equal
// parts that NCCL cuts `size` ranks into, which have at most `ranks_per_id`.
std::vector<int> RanksWithId(int size, int ranks_per_id = kRanksPerId);

}  // namespace eisbach::comm
