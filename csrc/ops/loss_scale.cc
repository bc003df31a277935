#include "ops/loss_scale.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"
#include "ops/optimizer.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(UpdateLossScaleSlot, UpdateLossScaleKernel,
                      "update_loss_scale")

absl::Status UpdateLossScale(const UpdateLossScaleArgs& args, Stream& stream) {
  const OpCheck check("update_loss_scale", stream);
  EISBACH_RETURN_IF_ERROR(
      check.Dense("norm_squared", args.norm_squared, DType::kF64, Shape{1}));
  EISBACH_RETURN_IF_ERROR(check.Dense("losses", args.losses, DType::kF64,
                                      Shape{args.losses.elements()}));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("used", args.used, DType::kF64, Shape{1}));
  EISBACH_RETURN_IF_ERROR(check.Dense("step_state", args.step_state,
                                      DType::kF32, Shape{kStepStateSize}));
  if (args.window < 1 || args.window > kMostLossScaleWindow) {
    return absl::InvalidArgumentError(
        absl::StrCat("update_loss_scale: window=", args.window,
                     " is outside [1, ", kMostLossScaleWindow, "]"));
  }
  return UpdateLossScaleSlot().Run(
      args,
      {.flops = 3,
       .bytes_read =
           static_cast<double>(args.norm_squared.bytes() + args.losses.bytes() +
                               args.step_state.bytes()),
       .bytes_written = 32},
      stream);
}

}  // namespace eisbach::ops
