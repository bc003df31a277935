#pragma once

namespace eisbach::cuda {

// ops::StepStateIndex as a struct, which kernels read from device memory.
struct StepState {
  float learning_rate;
  float gradient_factor;
  float bias_correction1;
  float bias_correction2;
  float finite;
  float is_void;
  float loss_scale;
  float good_steps;
};

}  // namespace eisbach::cuda
