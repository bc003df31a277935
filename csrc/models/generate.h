#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace eisbach::models {

// How the next token is drawn from logits.
struct SamplingOptions {
  double temperature;  // 0: always the likeliest token
  int64_t top_k;       // only the k likeliest tokens; 0: all of them
  uint64_t seed;
};

// InvalidArgument where an option is out of range.
absl::Status Validate(const SamplingOptions& options);

// Draws one token: softmax(logits / temperature) over the top_k, by a random
// number that is a function of seed and `index` alone (Philox). Of equal logits
// the lower ids come first. DataLoss when a logit is NaN or all are infinite.
absl::StatusOr<int32_t> SampleToken(absl::Span<const float> logits,
                                    const SamplingOptions& options,
                                    int64_t index);

// Logits [1, 1, vocab], any float dtype, that follow position `last` of tokens
// i32 [1, T]; what stands after it is padding.
using LogitsFunction =
    std::function<absl::StatusOr<Tensor>(const Tensor& tokens, int64_t last)>;

struct GenerateOptions {
  int64_t tokens;   // to draw
  int64_t context;  // tokens that the model sees at most: the last ones
  std::optional<int32_t> stop;  // a token that ends the text; not returned
  SamplingOptions sampling;
};

// Continues `prompt`, which has at least one token, and returns what follows
// it. Each token is drawn from a forward pass over the whole window, which
// grows in steps of 64, so that few sizes occur. Ranks that divide the model
// get the same tokens, since they get the same logits.
absl::StatusOr<std::vector<int32_t>> Generate(const LogitsFunction& logits,
                                              absl::Span<const int32_t> prompt,
                                              const GenerateOptions& options,
                                              Device& device);

}  // namespace eisbach::models
