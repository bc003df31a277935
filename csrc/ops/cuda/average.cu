#include "ops/cuda/average_kernels.h"
#include "ops/cuda/decay.cuh"
#include "ops/cuda/dispatch.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;

__global__ void __launch_bounds__(kBlock)
    AverageKernel(const float* __restrict__ master, float* __restrict__ average,
                  const StepState* __restrict__ state, ops::Decay decay,
                  long long n) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= n || state->finite == 0.0f) return;
  average[i] = Mixed(decay, average[i], master[i]);
}

}  // namespace

cudaError_t LaunchAverage(const float* master, float* average,
                          const StepState* state, const ops::Decay& decay,
                          long long n, cudaStream_t stream) {
  return Launch({dim3(BlocksFor(n, kBlock)), dim3(kBlock), stream},
                AverageKernel, master, average, state, decay, n);
}

}  // namespace eisbach::cuda
