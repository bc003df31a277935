#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/loss_scale_kernels.h"
#include "ops/cuda/reduce.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 128;

// One block: there is a loss a micro-batch.
__global__ void __launch_bounds__(kBlock)
    UpdateLossScaleKernel(double* norm_squared, const double* losses,
                          long long n, double* used, LossScaleRule rule,
                          StepState* state) {
  float bad = 0.0f;
  for (long long i = threadIdx.x; i < n; i += kBlock) {
    if (!(fabs(losses[i]) < INFINITY)) bad = 1.0f;
  }
  bad = BlockReduce<MaxOf>(bad);
  if (threadIdx.x != 0) return;
  const float scale = state->loss_scale;
  *used = scale;
  *norm_squared /= static_cast<double>(scale) * scale;
  if (state->is_void != 0.0f) return;
  const bool finite = *norm_squared < INFINITY;  // NaN is not
  if (bad != 0.0f || (!finite && scale <= rule.least)) {
    state->finite = 0.0f;
    state->is_void = 1.0f;
    return;
  }
  state->finite = 1.0f;
  const float good = finite ? state->good_steps + 1.0f : 0.0f;
  const bool doubles = good >= rule.window;
  state->good_steps = doubles ? 0.0f : good;
  if (!finite) state->loss_scale = fmaxf(rule.least, scale / 2.0f);
  if (doubles) state->loss_scale = fminf(rule.most, scale * 2.0f);
}

}  // namespace

cudaError_t LaunchUpdateLossScale(double* norm_squared, const double* losses,
                                  long long n, double* used,
                                  const LossScaleRule& rule, StepState* state,
                                  cudaStream_t stream) {
  return Launch({dim3(1), dim3(kBlock), stream}, UpdateLossScaleKernel,
                norm_squared, losses, n, used, rule, state);
}

}  // namespace eisbach::cuda
