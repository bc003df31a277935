#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace eisbach::cuda {

// ops::StochasticRounding: `step` lies in device memory.
struct Rounding {
  const int64_t* step = nullptr;
  uint64_t key = 0;
  long long first = 0;
};

// f32 [n] to bf16 [n].
cudaError_t LaunchRoundStochastically(const float* from, void* to, long long n,
                                      const Rounding& rounding,
                                      cudaStream_t stream);

}  // namespace eisbach::cuda
