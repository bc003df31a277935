#pragma once

#include "absl/status/status.h"
#include "ops/kernel_slot.h"
#include "ops/stochastic_rounding.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// What changes from step to step and is read by kernels from device memory, so
// that a captured graph stays valid: f32 [kStepStateSize], by these indices.
enum StepStateIndex : int {
  kLearningRate,     // of this step
  kGradientFactor,   // gradients are multiplied by it (clipping, 1/loss scale)
  kBiasCorrection1,  // 1 - beta1^step
  kBiasCorrection2,  // 1 - beta2^step
  // 0: the gradient of this step is not finite, and nothing is updated. It
  // stays 0 until the host sets it to 1 again, or ops::UpdateLossScale does.
  kFinite,
  kVoid,       // 1: ops::UpdateLossScale has given up, until the host says so
  kLossScale,  // what gradients are multiplied by until the update; else 1
  kGoodSteps,  // finite steps since the loss scale changed
  kStepStateSize,
};

// One AdamW step over a flat range (Loshchilov and Hutter, arXiv:1711.05101):
//   g = factor * grad;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   lr = rate_factor * that of the step
//   master -= lr * (m / c1 / (sqrt(v / c2) + eps) + weight_decay * master)
//   data = master, rounded to the compute dtype (skipped where data is master):
//     to nearest, or at random where `rounding` says how and data is bf16
// All one-dimensional, contiguous and of one length; f32 but for data.
struct AdamWArgs {
  const Tensor& master;
  const Tensor& grad;
  const Tensor& m;
  const Tensor& v;
  const Tensor& data;
  const Tensor& step_state;
  double beta1;  // in [0, 1); 1 - beta is taken in double (ops/decay.h)
  double beta2;
  float eps;
  float weight_decay;
  float rate_factor = 1;
  const StochasticRounding* rounding = nullptr;
};
using AdamWKernel = KernelSlot<AdamWArgs>;
AdamWKernel& AdamWSlot();
absl::Status AdamW(const AdamWArgs& args, Stream& stream);

// One SGD step: g = factor * grad + weight_decay * master;
// momentum > 0: m = momentum m + g, master -= lr m; else master -= lr g, with
// lr = rate_factor * that of the step.
struct SgdArgs {
  const Tensor& master;
  const Tensor& grad;
  const Tensor* m;  // null without momentum
  const Tensor& data;
  const Tensor& step_state;
  double momentum;  // in [0, 1)
  float weight_decay;
  float rate_factor = 1;
};
using SgdKernel = KernelSlot<SgdArgs>;
SgdKernel& SgdSlot();
absl::Status Sgd(const SgdArgs& args, Stream& stream);

// Of `all` tokens of a step those that count (f64 [1], summed over ranks), so
// that the mean over all becomes the mean over these. Null: all count.
struct CountedTokens {
  const Tensor* counted = nullptr;
  double all = 1;
};

// Sets kGradientFactor and kFinite from the squared global norm (f64 [1]) of
// gradients that have kLossScale in them and are means over all tokens:
//   mean = all / counted, exactly 1 where all count;
//   norm_squared *= mean^2          the true one, but for the loss scale
//   norm = root of it / kLossScale
//   factor = mean * min(1, max_norm / (norm + 1e-6)) / kLossScale, without the
//     minimum when max_norm is 0
// Factor and kFinite are 0 when the norm is not finite; a kFinite of 0 stays.
// Where no token counts both are 0 and kVoid 1, as no step makes sense of that.
struct ClipFactorArgs {
  const Tensor& norm_squared;
  float max_norm;
  CountedTokens tokens;
  const Tensor& step_state;
};
using ClipFactorKernel = KernelSlot<ClipFactorArgs>;
ClipFactorKernel& ClipFactorSlot();
absl::Status ClipFactor(const Tensor& norm_squared, float max_norm,
                        const CountedTokens& tokens, const Tensor& step_state,
                        Stream& stream);

}  // namespace eisbach::ops
