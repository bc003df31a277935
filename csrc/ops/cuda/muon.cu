#include "ops/cuda/decay.cuh"
#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/muon_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;

__device__ __forceinline__ long long Index() {
  return blockIdx.x * (long long)kBlock + threadIdx.x;
}

__global__ void __launch_bounds__(kBlock)
    MuonMomentumKernel(const float* __restrict__ grad, float* __restrict__ m,
                       float* __restrict__ direction,
                       const StepState* __restrict__ state, ops::Decay momentum,
                       bool nesterov, long long n) {
  const long long i = Index();
  if (i >= n) return;
  if (state->finite == 0.0f) {
    direction[i] = 0.0f;
    return;
  }
  const float g = grad[i] * state->gradient_factor;
  const float mean = Mixed(momentum, m[i], g);
  m[i] = mean;
  direction[i] = nesterov ? Mixed(momentum, mean, g) : mean;
}

template <typename T>
__global__ void __launch_bounds__(kBlock)
    MuonStepKernel(float* __restrict__ master,
                   const float* __restrict__ direction, T* __restrict__ data,
                   const StepState* __restrict__ state, float weight_decay,
                   float rate_factor, long long n) {
  const long long i = Index();
  if (i >= n || state->finite == 0.0f) return;
  const float rate = state->learning_rate * rate_factor;
  const float old = master[i];
  const float kept = __fmaf_rn(-(rate * weight_decay), old, old);
  const float updated = __fmaf_rn(-rate, direction[i], kept);
  master[i] = updated;
  if (data != nullptr) data[i] = FromFloat<T>(updated);
}

template <typename T>
__global__ void __launch_bounds__(kBlock)
    DivideByRootKernel(const float* __restrict__ x,
                       const double* __restrict__ square, float least,
                       T* __restrict__ out, long long n) {
  const long long i = Index();
  if (i >= n) return;
  // In double as on the host: all threads get one factor.
  const double root = sqrt(*square);
  const double divisor = root < least ? static_cast<double>(least) : root;
  out[i] = FromFloat<T>(x[i] * static_cast<float>(1.0 / divisor));
}

template <typename T>
__global__ void __launch_bounds__(kBlock)
    BlendKernel(float a, const T* __restrict__ x, float b, T* __restrict__ y,
                long long n) {
  const long long i = Index();
  if (i >= n) return;
  y[i] = FromFloat<T>(__fmaf_rn(a, ToFloat(x[i]), b * ToFloat(y[i])));
}

}  // namespace

cudaError_t LaunchMuonMomentum(const float* grad, float* m, float* direction,
                               const StepState* state,
                               const ops::Decay& momentum, bool nesterov,
                               long long n, cudaStream_t stream) {
  return Launch({dim3(BlocksFor(n, kBlock)), dim3(kBlock), stream},
                MuonMomentumKernel, grad, m, direction, state, momentum,
                nesterov, n);
}

cudaError_t LaunchMuonStep(Type type, float* master, const float* direction,
                           void* data, const StepState* state,
                           float weight_decay, float rate_factor, long long n,
                           cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    return Launch({dim3(BlocksFor(n, kBlock)), dim3(kBlock), stream},
                  MuonStepKernel<T>, master, direction, static_cast<T*>(data),
                  state, weight_decay, rate_factor, n);
  });
}

cudaError_t LaunchDivideByRoot(Type type, const float* x, const double* square,
                               float least, void* out, long long n,
                               cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    return Launch({dim3(BlocksFor(n, kBlock)), dim3(kBlock), stream},
                  DivideByRootKernel<T>, x, square, least, static_cast<T*>(out),
                  n);
  });
}

cudaError_t LaunchBlend(Type type, float a, const void* x, float b, void* y,
                        long long n, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    return Launch({dim3(BlocksFor(n, kBlock)), dim3(kBlock), stream},
                  BlendKernel<T>, a, static_cast<const T*>(x), b,
                  static_cast<T*>(y), n);
  });
}

}  // namespace eisbach::cuda
