#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/step_state.h"
#include "ops/spike_rule.h"

namespace eisbach::cuda {

// See ops/spike.h. losses: f64 [n]; `counted` is null where all tokens count;
// above `least_loss_scale` a norm that is not finite is left to the scale.
struct StepToJudge {
  const double* norm_squared;
  const double* losses;
  long long n;
  const double* counted;
  double all;
  float least_loss_scale;
};

cudaError_t LaunchJudgeStep(const StepToJudge& step, const ops::SpikeRule& rule,
                            double* state, double* verdict,
                            StepState* step_state, cudaStream_t stream);
cudaError_t LaunchEndSkippedStep(const double* verdict, StepState* step_state,
                                 cudaStream_t stream);

}  // namespace eisbach::cuda
