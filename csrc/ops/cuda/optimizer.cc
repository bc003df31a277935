#include "ops/optimizer.h"

#include <cstddef>

#include "ops/cuda/bridge.h"
#include "ops/cuda/optimizer_kernels.h"

namespace eisbach::ops {
namespace {

using cuda::StepState;

static_assert(sizeof(StepState) == kStepStateSize * sizeof(float));
static_assert(offsetof(StepState, learning_rate) ==
              kLearningRate * sizeof(float));
static_assert(offsetof(StepState, gradient_factor) ==
              kGradientFactor * sizeof(float));
static_assert(offsetof(StepState, finite) == kFinite * sizeof(float));
static_assert(offsetof(StepState, is_void) == kVoid * sizeof(float));
static_assert(offsetof(StepState, loss_scale) == kLossScale * sizeof(float));
static_assert(offsetof(StepState, good_steps) == kGoodSteps * sizeof(float));
static_assert(offsetof(StepState, bias_correction1) ==
              kBiasCorrection1 * sizeof(float));
static_assert(offsetof(StepState, bias_correction2) ==
              kBiasCorrection2 * sizeof(float));

StepState* StateOf(const Tensor& t) { return static_cast<StepState*>(t.raw()); }

// Null where `data` is `master` itself.
void* SeparateData(const Tensor& master, const Tensor& data) {
  return data.raw() == master.raw() ? nullptr : data.raw();
}

absl::Status AdamW(const AdamWArgs& args, Stream& stream) {
  cuda::Rounding rounding;
  if (args.rounding != nullptr) {
    rounding = {.step = args.rounding->step.data<int64_t>(),
                .key = args.rounding->key,
                .first = args.rounding->first};
  }
  EISBACH_RETURN_IF_CUDA(cuda::LaunchAdamW(
      cuda::ToType(args.data.dtype()), args.master.data<float>(),
      args.grad.data<float>(), args.m.data<float>(), args.v.data<float>(),
      SeparateData(args.master, args.data), StateOf(args.step_state),
      {.beta1 = MakeDecay(args.beta1),
       .beta2 = MakeDecay(args.beta2),
       .eps = args.eps,
       .weight_decay = args.weight_decay,
       .rate_factor = args.rate_factor},
      args.rounding == nullptr ? nullptr : &rounding, args.master.elements(),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status Sgd(const SgdArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchSgd(
      cuda::ToType(args.data.dtype()), args.master.data<float>(),
      args.grad.data<float>(),
      args.m == nullptr ? nullptr : args.m->data<float>(),
      SeparateData(args.master, args.data), StateOf(args.step_state),
      MakeDecay(args.momentum), args.weight_decay, args.rate_factor,
      args.master.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status ClipFactor(const ClipFactorArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchClipFactor(
      args.norm_squared.data<double>(), args.max_norm,
      args.tokens.counted == nullptr ? nullptr
                                     : args.tokens.counted->data<double>(),
      args.tokens.all, StateOf(args.step_state), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AdamWSlot, DeviceType::kCuda, &AdamW);
EISBACH_REGISTER_KERNEL(SgdSlot, DeviceType::kCuda, &Sgd);
EISBACH_REGISTER_KERNEL(ClipFactorSlot, DeviceType::kCuda, &ClipFactor);

}  // namespace
}  // namespace eisbach::ops
