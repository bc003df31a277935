#pragma once

#include "ops/norm.h"

namespace eisbach::ops {

// What an ideal kernel of norm.h moves and computes.
OpCost NormForwardCost(const NormForwardArgs& args);
OpCost NormalizeCost(const NormalizeArgs& args);
OpCost NormBackwardCost(const NormBackwardArgs& args);

}  // namespace eisbach::ops
