#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/step_state.h"

namespace eisbach::cuda {

struct LossScaleRule {
  float least;
  float most;
  float window;  // finite steps until the scale doubles
};

// See ops/loss_scale.h. losses: f64 [n].
cudaError_t LaunchUpdateLossScale(double* norm_squared, const double* losses,
                                  long long n, double* used,
                                  const LossScaleRule& rule, StepState* state,
                                  cudaStream_t stream);

}  // namespace eisbach::cuda
