#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/step_state.h"
#include "ops/cuda/stochastic_rounding_kernels.h"
#include "ops/cuda/type.h"
#include "ops/decay.h"

namespace eisbach::cuda {

struct AdamWFactors {
  ops::Decay beta1;
  ops::Decay beta2;
  float eps;
  float weight_decay;
  float rate_factor;
};

// One step over n elements, as ops/optimizer.h states it. `data` is null where
// it is `master` itself. An element's result does not depend on where the range
// begins and ends. Moves 28 bytes an element and those of `data`, in pieces of
// 16 bytes where all pointers are as far from a boundary as each other. `data`
// is rounded as `rounding` says, which is null for to nearest, else of bf16.
cudaError_t LaunchAdamW(Type type, float* master, const float* grad, float* m,
                        float* v, void* data, const StepState* state,
                        const AdamWFactors& factors, const Rounding* rounding,
                        long long n, cudaStream_t stream);
// `m` is null without momentum.
cudaError_t LaunchSgd(Type type, float* master, const float* grad, float* m,
                      void* data, const StepState* state,
                      const ops::Decay& momentum, float weight_decay,
                      float rate_factor, long long n, cudaStream_t stream);

// `counted` is null where all tokens count.
cudaError_t LaunchClipFactor(double* norm_squared, float max_norm,
                             const double* counted, double all,
                             StepState* state, cudaStream_t stream);

}  // namespace eisbach::cuda
