#include "ops/cuda/decay.cuh"
#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/lion_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;

template <typename T>
__global__ void __launch_bounds__(kBlock)
    LionKernel(float* __restrict__ master, const float* __restrict__ grad,
               float* __restrict__ m, T* __restrict__ data,
               const StepState* __restrict__ state, LionFactors factors,
               long long n) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= n || state->finite == 0.0f) return;
  const float rate = state->learning_rate * factors.rate_factor;
  const float g = grad[i] * state->gradient_factor;
  const float old_m = m[i];
  const float c = Mixed(factors.beta1, old_m, g);
  const float move = c == 0.0f ? 0.0f : copysignf(rate, c);
  const float old = master[i];
  const float updated =
      __fmaf_rn(-(rate * factors.weight_decay), old, old) - move;
  m[i] = Mixed(factors.beta2, old_m, g);
  master[i] = updated;
  if (data != nullptr) data[i] = FromFloat<T>(updated);
}

}  // namespace

cudaError_t LaunchLion(Type type, float* master, const float* grad, float* m,
                       void* data, const StepState* state,
                       const LionFactors& factors, long long n,
                       cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    return Launch({dim3(BlocksFor(n, kBlock)), dim3(kBlock), stream},
                  LionKernel<T>, master, grad, m, static_cast<T*>(data), state,
                  factors, n);
  });
}

}  // namespace eisbach::cuda
