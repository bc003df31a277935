#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/step_state.h"
#include "ops/cuda/type.h"
#include "ops/decay.h"

// Over n elements, as ops/muon.h states it.
namespace eisbach::cuda {

cudaError_t LaunchMuonMomentum(const float* grad, float* m, float* direction,
                               const StepState* state,
                               const ops::Decay& momentum, bool nesterov,
                               long long n, cudaStream_t stream);

// `data` is null where it is `master` itself.
cudaError_t LaunchMuonStep(Type type, float* master, const float* direction,
                           void* data, const StepState* state,
                           float weight_decay, float rate_factor, long long n,
                           cudaStream_t stream);

cudaError_t LaunchDivideByRoot(Type type, const float* x, const double* square,
                               float least, void* out, long long n,
                               cudaStream_t stream);

cudaError_t LaunchBlend(Type type, float a, const void* x, float b, void* y,
                        long long n, cudaStream_t stream);

}  // namespace eisbach::cuda
