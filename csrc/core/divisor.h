#pragma once

#include <cstdint>

namespace eisbach {

// The divisor of n, of at least `least`, that is nearest to `wanted`; of two
// that are as near the smaller one. 1 <= least <= n. For messages that offer
// what works.
int64_t NearestDivisor(int64_t n, int64_t wanted, int64_t least = 1);

}  // namespace eisbach
