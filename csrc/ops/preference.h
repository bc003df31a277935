#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "ops/preference_rule.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Learning from pairs of answers. A row of T tokens is a pair: its first
// document is a prompt with the answer that was preferred, what follows a
// prompt with the other one (ops/document_starts.h). Tokens whose target is
// below 0 count for neither.

// InvalidArgument where beta is not above 0 or does not fit f32, where
// label_smoothing is outside [0, 0.5) or given to ipo, which has none.
absl::Status Validate(const PreferenceRule& rule);

// sums: f64 [B, kPairSums], of the tokens' cross-entropies f32 [B * T]; targets
// and starts are i32 [B, T]. Added up in the order of the row, in f64.
struct PairSumsArgs {
  const Tensor& losses;
  const Tensor& targets;
  const Tensor& starts;
  const Tensor& sums;
};
using PairSumsKernel = KernelSlot<PairSumsArgs>;
PairSumsKernel& PairSumsSlot();
absl::StatusOr<Tensor> PairSums(const Tensor& losses, const Tensor& targets,
                                const Tensor& starts, Stream& stream);

// From the sums of policy and reference, f64 [B, kPairSums] each (JudgePair):
// loss (f64 [1]) = scale * sum over pairs; weights (f32 [B * T]), what the
// gradient of each token's cross-entropy is multiplied by, without the scale;
// and `totals` (f64 [kPreferenceTotals]), to which the pairs are added.
struct PreferenceArgs {
  const PreferenceRule& rule;
  float scale;
  const Tensor& policy;
  const Tensor& reference;
  const Tensor& starts;  // i32 [B, T]
  const Tensor& loss;
  const Tensor& weights;
  const Tensor& totals;
};
using PreferenceKernel = KernelSlot<PreferenceArgs>;
PreferenceKernel& PreferenceSlot();

struct PreferenceOutput {
  Tensor loss;
  Tensor weights;
};
absl::StatusOr<PreferenceOutput> Preference(const PreferenceRule& rule,
                                            float scale, const Tensor& policy,
                                            const Tensor& reference,
                                            const Tensor& starts,
                                            const Tensor& totals,
                                            Stream& stream);

}  // namespace eisbach::ops
