#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "ops/kernel_slot.h"
#include "ops/optimizer.h"
#include "ops/spike_rule.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Judges a step before the optimizer runs, on the device, so that nobody waits
// for the host. Comes after ClipFactor; all ranks give it the same numbers and
// so find the same.
//
//   loss = sum of `losses` (f64 [n]) * tokens.all / counted
//   norm = sqrt(norm_squared) / kLossScale, as ClipFactor has left it
//
// What is not finite is always bad; a norm alone only where `loss_scaled` is
// false or the scale is kLeastLossScale, as a smaller one helps elsewhere. With
// `rule.deviations` above 0, and as many good steps in `state` as the window
// has, a loss or norm is bad as well when it is above
//
//   limit = median + deviations * max(1.4826 * MAD, relative * median,
//   absolute)
//
// of the window, where MAD is the median of the distances from the median, and
// of an even number the lower one is meant.
//
// A good step goes into the window. A bad one sets kFinite to 0: nothing is
// updated. Where `state` tolerates one more in a row it counts as skipped;
// else kVoid is 1 as well, and nothing changes any more until the host has
// said so. Does nothing where kVoid is 1 already.
//
// `state` is f64 [SpikeStateSize(window)] by SpikeStateIndex, zero at first;
// `verdict` is f64 [kVerdictSize] by VerdictIndex, overwritten.
struct JudgeStepArgs {
  const Tensor& norm_squared;
  const Tensor& losses;
  CountedTokens tokens;
  SpikeRule rule;
  bool loss_scaled;
  const Tensor& state;
  const Tensor& verdict;
  const Tensor& step_state;
};
using JudgeStepKernel = KernelSlot<JudgeStepArgs>;
JudgeStepKernel& JudgeStepSlot();
absl::Status JudgeStep(const JudgeStepArgs& args, Stream& stream);

// Ends a step that JudgeStep has judged, after optimizer and loss scale: where
// it was skipped kFinite is 1 and kVoid 0 for the next one.
struct EndSkippedStepArgs {
  const Tensor& verdict;
  const Tensor& step_state;
};
using EndSkippedStepKernel = KernelSlot<EndSkippedStepArgs>;
EndSkippedStepKernel& EndSkippedStepSlot();
absl::Status EndSkippedStep(const Tensor& verdict, const Tensor& step_state,
                            Stream& stream);

}  // namespace eisbach::ops
