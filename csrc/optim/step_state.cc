#include "optim/step_state.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::optim {
namespace {

// 1 - beta^step, of which nothing cancels where beta is near 1.
float BiasCorrection(double beta, int64_t step) {
  return static_cast<float>(
      -std::expm1(static_cast<double>(step) * std::log1p(-(1 - beta))));
}

}  // namespace

absl::StatusOr<StepState> StepState::Make(Stream& stream) {
  StepState state;
  EISBACH_ASSIGN_OR_RETURN(
      state.values_,
      Tensor::Zeros(Shape{ops::kStepStateSize}, DType::kF32, stream));
  EISBACH_ASSIGN_OR_RETURN(state.step_,
                           Tensor::Zeros(Shape{1}, DType::kI64, stream));
  EISBACH_ASSIGN_OR_RETURN(state.memory_,
                           stream.device().AllocateHost(sizeof(Memory)));
  state.memory().finite[0] = 1;
  state.memory().finite[1] = 0;
  EISBACH_ASSIGN_OR_RETURN(state.loss_scale_,
                           state.values_.Narrow(0, ops::kLossScale, 1));
  EISBACH_RETURN_IF_ERROR(state.SetFinite(stream));
  EISBACH_RETURN_IF_ERROR(state.SetLossScale(LossScale(), stream));
  return state;
}

absl::Status StepState::Begin(int64_t step, double learning_rate, double beta1,
                              double beta2, Stream& stream) {
  if (step < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("step=", step, ": steps are counted from 1"));
  }
  Slot& slot = memory().slots[next_];
  Event& copied = copied_[next_];
  next_ = (next_ + 1) % kSlots;
  EISBACH_RETURN_IF_ERROR(copied.Wait());
  slot.step = step;
  slot.values[ops::kLearningRate] = static_cast<float>(learning_rate);
  slot.values[ops::kGradientFactor] = 1;
  slot.values[ops::kBiasCorrection1] = BiasCorrection(beta1, step);
  slot.values[ops::kBiasCorrection2] = BiasCorrection(beta2, step);
  Device& device = stream.device();
  EISBACH_RETURN_IF_ERROR(device.CopyToDevice(values_.raw(), slot.values,
                                              sizeof(slot.values), stream));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(step_.raw(), &slot.step, step_.bytes(), stream));
  EISBACH_ASSIGN_OR_RETURN(copied, stream.Record());
  return absl::OkStatus();
}

absl::Status StepState::SetFinite(Stream& stream) {
  static_assert(ops::kVoid == ops::kFinite + 1);
  EISBACH_ASSIGN_OR_RETURN(const Tensor flags,
                           values_.Narrow(0, ops::kFinite, 2));
  return stream.device().CopyToDevice(flags.raw(), memory().finite,
                                      flags.bytes(), stream);
}

absl::Status StepState::SetLossScale(const LossScale& scale, Stream& stream) {
  static_assert(ops::kGoodSteps == ops::kLossScale + 1);
  memory().loss_scale[0] = scale.scale;
  memory().loss_scale[1] = static_cast<float>(scale.good_steps);
  EISBACH_RETURN_IF_ERROR(
      stream.device().CopyToDevice(loss_scale_.raw(), memory().loss_scale,
                                   sizeof(Memory::loss_scale), stream));
  return stream.Synchronize();
}

absl::StatusOr<LossScale> StepState::ReadLossScale(Stream& stream) const {
  float values[2] = {};
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToHost(values, loss_scale_.raw(),
                                                     sizeof(values), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return LossScale{values[0], static_cast<int>(values[1])};
}

}  // namespace eisbach::optim
