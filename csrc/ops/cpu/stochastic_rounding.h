#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "ops/stochastic_rounding.h"

namespace eisbach::ops {

// Elements [begin, end) of a range.
void RoundRange(const float* from, BFloat16* to, int64_t begin, int64_t end,
                const StochasticRounding& rounding);

}  // namespace eisbach::ops
