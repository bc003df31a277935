#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "autograd/functions/cross_entropy.h"
#include "ops/preference.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// A head whose logits are x · weight^T, x [B, T, H] and weight [columns, H],
// over the vocabulary that `shard` divides, bounded by `cap` where it is not 0.
// As LinearCrossEntropy's they are never there as a whole.
struct HeadInput {
  Tensor x;
  Parameter& weight;
  VocabularyShard shard;
  double cap = 0;
  int64_t logits_bytes = 0;  // of a chunk; 0: what suits the device
  // Those that are trained where `weight` is not; null for none.
  const TrainedRows* rows = nullptr;
};

// Rows that are pairs of answers (ops/preference.h): i32 [B, T] each, of all
// their tokens or of a part.
struct PairRows {
  Tensor targets;
  Tensor starts;
  // Adds to the sums of a part, f64 [B, ops::kPairSums], those of the rows'
  // other parts; empty where there are none.
  std::function<absl::Status(const Tensor& sums)> add_up{};
};

// What the head's model thinks of pairs: f64 [B, ops::kPairSums]. Records
// nothing.
absl::StatusOr<Tensor> PairLogProbabilities(const HeadInput& head,
                                            const PairRows& pairs,
                                            Stream& stream);

// loss (f64 [1]) = scale.scale * sum over pairs of ops::JudgePair, against
// `reference`, another model's PairLogProbabilities. scale.counted is f64
// [ops::kPreferenceTotals]. Whoever has a part of the rows gets their whole
// loss and totals, and the gradient of its part. A recorded forward does the
// work of backward, as LinearCrossEntropy's does. What a token's logits weigh
// in the gradient is known when all of its pair were seen: where there are
// several chunks they are multiplied out twice.
absl::StatusOr<Tensor> LinearPreference(const HeadInput& head,
                                        const PairRows& pairs,
                                        const Tensor& reference,
                                        const ops::PreferenceRule& rule,
                                        const LossScale& scale, Stream& stream);

}  // namespace eisbach::autograd
