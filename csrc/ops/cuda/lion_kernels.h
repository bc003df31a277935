#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/step_state.h"
#include "ops/cuda/type.h"
#include "ops/decay.h"

namespace eisbach::cuda {

struct LionFactors {
  ops::Decay beta1;
  ops::Decay beta2;
  float weight_decay;
  float rate_factor;
};

// One step over n elements, as ops/lion.h states it. `data` is null where it is
// `master` itself.
cudaError_t LaunchLion(Type type, float* master, const float* grad, float* m,
                       void* data, const StepState* state,
                       const LionFactors& factors, long long n,
                       cudaStream_t stream);

}  // namespace eisbach::cuda
