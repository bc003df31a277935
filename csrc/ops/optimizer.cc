#include "ops/optimizer.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/flat_range.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(AdamWSlot, AdamWKernel, "adamw")
EISBACH_DEFINE_KERNEL(SgdSlot, SgdKernel, "sgd")
EISBACH_DEFINE_KERNEL(ClipFactorSlot, ClipFactorKernel, "clip_factor")

namespace {

constexpr double kAdamWFlops = 16;
constexpr double kSgdFlops = 6;

absl::Status CheckRange(absl::string_view op, const OpCheck& check,
                        const Tensor& master, const Tensor& grad,
                        const Tensor& data, const Tensor& step_state) {
  EISBACH_RETURN_IF_ERROR(CheckFlatRange(op, check, master, data, step_state));
  return check.Dense("grad", grad, DType::kF32, master.shape());
}

}  // namespace

absl::Status AdamW(const AdamWArgs& args, Stream& stream) {
  const OpCheck check("adamw", stream);
  EISBACH_RETURN_IF_ERROR(CheckRange("adamw", check, args.master, args.grad,
                                     args.data, args.step_state));
  const Shape& shape = args.master.shape();
  EISBACH_RETURN_IF_ERROR(check.Dense("m", args.m, DType::kF32, shape));
  EISBACH_RETURN_IF_ERROR(check.Dense("v", args.v, DType::kF32, shape));
  double step_bytes = 0;
  if (args.rounding != nullptr) {
    EISBACH_RETURN_IF_ERROR(check.Dense("data", args.data, DType::kBF16));
    EISBACH_RETURN_IF_ERROR(
        check.Dense("step", args.rounding->step, DType::kI64, Shape{1}));
    step_bytes = static_cast<double>(args.rounding->step.bytes());
  }
  const double bytes = static_cast<double>(args.master.bytes());
  return AdamWSlot().Run(
      args,
      {.flops = kAdamWFlops * args.master.elements(),
       .bytes_read = 4 * bytes + step_bytes,
       .bytes_written = 3 * bytes + DataBytes(args.master, args.data)},
      stream);
}

absl::Status Sgd(const SgdArgs& args, Stream& stream) {
  const OpCheck check("sgd", stream);
  EISBACH_RETURN_IF_ERROR(CheckRange("sgd", check, args.master, args.grad,
                                     args.data, args.step_state));
  if (args.m == nullptr) {
    if (args.momentum != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "sgd: momentum=", args.momentum, " needs m (optimizer.momentum)"));
    }
  } else {
    EISBACH_RETURN_IF_ERROR(
        check.Dense("m", *args.m, DType::kF32, args.master.shape()));
  }
  const double bytes = static_cast<double>(args.master.bytes());
  const double state = args.m == nullptr ? 0.0 : bytes;
  return SgdSlot().Run(
      args,
      {.flops = kSgdFlops * args.master.elements(),
       .bytes_read = 2 * bytes + state,
       .bytes_written = bytes + state + DataBytes(args.master, args.data)},
      stream);
}

absl::Status ClipFactor(const Tensor& norm_squared, float max_norm,
                        const CountedTokens& tokens, const Tensor& step_state,
                        Stream& stream) {
  const OpCheck check("clip_factor", stream);
  EISBACH_RETURN_IF_ERROR(
      check.Dense("norm_squared", norm_squared, DType::kF64, Shape{1}));
  if (tokens.counted != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        check.Dense("counted", *tokens.counted, DType::kF64, Shape{1}));
  }
  EISBACH_RETURN_IF_ERROR(check.Dense("step_state", step_state, DType::kF32,
                                      Shape{kStepStateSize}));
  return ClipFactorSlot().Run(
      {.norm_squared = norm_squared,
       .max_norm = max_norm,
       .tokens = tokens,
       .step_state = step_state},
      {.flops = 8, .bytes_read = 20, .bytes_written = 16}, stream);
}

}  // namespace eisbach::ops
