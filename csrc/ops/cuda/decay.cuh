#pragma once

#include "device/cuda/portable.h"
#include "ops/decay.h"

namespace eisbach::cuda {

// beta x + added
__device__ __forceinline__ float Decayed(const ops::Decay& beta, float x,
                                         float added) {
  return __fmaf_rn(beta.high, x, __fmaf_rn(beta.low, x, added));
}

// beta x + (1 - beta) y
__device__ __forceinline__ float Mixed(const ops::Decay& beta, float x,
                                       float y) {
  return Decayed(beta, x, beta.rest * y);
}

}  // namespace eisbach::cuda
