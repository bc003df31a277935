#pragma once

#include <cstdint>
#include <vector>

#include "ops/attention.h"

namespace eisbach::test {

struct AttentionExpected {
  std::vector<double> out, lse, dqkv;
};

// Attention straight from the formula of ops/attention.h, in double. `dout` may
// be empty: then there is no dqkv. `starts` of the options lie in host memory.
AttentionExpected AttentionReference(int64_t batch, int64_t length,
                                     const ops::AttentionHeads& heads,
                                     const ops::AttentionOptions& options,
                                     const std::vector<double>& qkv,
                                     const std::vector<double>& dout);

}  // namespace eisbach::test
