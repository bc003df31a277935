#include "ops/spike.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(JudgeStepSlot, JudgeStepKernel, "judge_step")
EISBACH_DEFINE_KERNEL(EndSkippedStepSlot, EndSkippedStepKernel,
                      "end_skipped_step")

absl::Status JudgeStep(const JudgeStepArgs& args, Stream& stream) {
  const OpCheck check("judge_step", stream);
  const int window = args.rule.window;
  if (window < kLeastSpikeWindow || window > kMostSpikeWindow) {
    return absl::InvalidArgumentError(
        absl::StrCat("judge_step: window=", window, " is outside [",
                     kLeastSpikeWindow, ", ", kMostSpikeWindow, "]"));
  }
  EISBACH_RETURN_IF_ERROR(
      check.Dense("norm_squared", args.norm_squared, DType::kF64, Shape{1}));
  EISBACH_RETURN_IF_ERROR(check.Dense("losses", args.losses, DType::kF64,
                                      Shape{args.losses.elements()}));
  if (args.tokens.counted != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        check.Dense("counted", *args.tokens.counted, DType::kF64, Shape{1}));
  }
  EISBACH_RETURN_IF_ERROR(check.Dense("state", args.state, DType::kF64,
                                      Shape{SpikeStateSize(window)}));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("verdict", args.verdict, DType::kF64, Shape{kVerdictSize}));
  EISBACH_RETURN_IF_ERROR(check.Dense("step_state", args.step_state,
                                      DType::kF32, Shape{kStepStateSize}));
  const double compared = args.rule.deviations > 0 ? 4.0 * window * window : 0;
  return JudgeStepSlot().Run(
      args,
      {.flops = compared + static_cast<double>(args.losses.elements()),
       .bytes_read =
           static_cast<double>(args.losses.bytes() + args.state.bytes()),
       .bytes_written = static_cast<double>(args.verdict.bytes())},
      stream);
}

absl::Status EndSkippedStep(const Tensor& verdict, const Tensor& step_state,
                            Stream& stream) {
  const OpCheck check("end_skipped_step", stream);
  EISBACH_RETURN_IF_ERROR(
      check.Dense("verdict", verdict, DType::kF64, Shape{kVerdictSize}));
  EISBACH_RETURN_IF_ERROR(check.Dense("step_state", step_state, DType::kF32,
                                      Shape{kStepStateSize}));
  return EndSkippedStepSlot().Run(
      {.verdict = verdict, .step_state = step_state},
      {.flops = 1, .bytes_read = 16, .bytes_written = 8}, stream);
}

}  // namespace eisbach::ops
