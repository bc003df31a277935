#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "ops/dropout.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Where a low-rank term goes: to the columns [first_column, first_column + n)
// of y, with b [n, r].
struct LowRankTerm {
  Parameter* b;
  int64_t first_column;
};

struct LowRankDropout {
  double p;
  ops::DropoutSource source;
};

// What is added to y [..., N]: in the columns of term i, which do not overlap,
//
//   scale · dropout(x) · a_i^T · b_i^T
//
// with x [..., K] and a_i the rows [i · r, (i + 1) · r) of a [terms · r, K].
// Hu et al., "LoRA", arXiv:2106.09685, section 4.1.
struct LowRank {
  Parameter* a;
  std::vector<LowRankTerm> terms;
  float scale;
  std::optional<LowRankDropout> dropout{};  // x is then [B, T, K]
};

// Adds to y in place and returns it; nothing else may need what it was. What
// was dropped is found again in backward, from x.
absl::StatusOr<Tensor> AddLowRank(const Tensor& y, const Tensor& x,
                                  const LowRank& low_rank, Stream& stream);

}  // namespace eisbach::autograd
