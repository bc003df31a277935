#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// ops::StepStateIndex as a struct, which kernels read from device memory.
struct StepState {
  float learning_rate;
  float gradient_factor;
  float bias_correction1;
  float bias_correction2;
  float finite;
  float unused[3];
};

struct AdamWFactors {
  float beta1;
  float beta2;
  float eps;
  float weight_decay;
};

// One step over n elements, as ops/optimizer.h states it. `data` is null where
// it is `master` itself. An element's result does not depend on where the range
// begins and ends. Moves 28 bytes an element and those of `data`, in pieces of
// 16 bytes where all pointers are as far from a boundary as each other.
cudaError_t LaunchAdamW(Type type, float* master, const float* grad, float* m,
                        float* v, void* data, const StepState* state,
                        const AdamWFactors& factors, long long n,
                        cudaStream_t stream);
// `m` is null without momentum.
cudaError_t LaunchSgd(Type type, float* master, const float* grad, float* m,
                      void* data, const StepState* state, float momentum,
                      float weight_decay, long long n, cudaStream_t stream);

cudaError_t LaunchClipFactor(const double* norm_squared, float max_norm,
                             StepState* state, cudaStream_t stream);

}  // namespace eisbach::cuda
