#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace eisbach::models {

// How the next token is drawn from logits. Each option leaves fewer tokens, in
// the order of the members, of what the one before it has left; the likeliest
// token always stays. As transformers 5 means them
// (generation/logits_process.py).
struct SamplingOptions {
  // Divides the logits above 0, and multiplies those below, of tokens that
  // occur before (CTRL, arXiv:1909.05858); 1: none.
  double repetition_penalty = 1;
  double temperature;  // 0: always the likeliest token
  int64_t top_k = 0;   // only the k likeliest tokens; 0: all of them
  // The fewest likeliest tokens whose probabilities sum to this; 1: all
  // (arXiv:1904.09751).
  double top_p = 1;
  // Only those at least so many times as likely as the likeliest; 0: all
  // (arXiv:2407.01082).
  double min_p = 0;
  uint64_t seed = 0;
};

// InvalidArgument where an option is out of range.
absl::Status Validate(const SamplingOptions& options);

// Which random number a token is drawn by: a function of the seed and these
// (Philox), whatever else is drawn.
struct Draw {
  int64_t sequence = 0;
  int64_t index = 0;
};

// Multiplies or divides the logits of the tokens that occur in `seen`, each
// once. Ids outside the vocabulary are passed over.
void Penalise(absl::Span<const int32_t> seen, double penalty,
              absl::Span<float> logits);

// Draws one token by all options but the penalty. Of equal logits the lower ids
// come first. DataLoss when a logit is NaN or all are infinite.
absl::StatusOr<int32_t> SampleToken(absl::Span<const float> logits,
                                    const SamplingOptions& options,
                                    const Draw& draw);

}  // namespace eisbach::models
