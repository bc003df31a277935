#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// The operands of ops/norm.h: x, residual, sum, y of `rows` rows, weight and
// bias [width] of one type, mean and rstd f32 [rows]. `inner` rows lie side by
// side, `stride` elements from the next as many (ops/rows.h). Null are
// `residual` and `sum` without a residual, `bias` and `mean` for RMS norm.
struct NormOperands {
  Type type;
  long long rows;
  long long width;
  long long inner;
  long long stride;
  const void* x;
  const void* residual;
  const void* weight;
  const void* bias;
  void* sum;
  void* y;
  float* mean;
  float* rstd;
  float shift = 0;  // added to each weight
};

// Reads each operand once and keeps the row in registers: up to 16384
// f32, 32768 of 16 bits or 8192 of rows that are not aligned; wider ones are
// read again from caches.
cudaError_t LaunchNormForward(const NormOperands& operands, float eps,
                              cudaStream_t stream);
// y from x (the sum), mean and rstd, in the bits of LaunchNormForward.
cudaError_t LaunchNormalize(const NormOperands& operands, cudaStream_t stream);

struct NormGradients {
  Type type;
  bool layer;  // else RMS norm
  long long rows;
  long long width;
  long long inner;
  long long stride;
  const void* dy;
  const void* dsum;  // null for none
  const void* sum;
  const void* weight;
  const float* mean;  // of layer norm
  const float* rstd;
  void* dx;
  float shift = 0;  // added to each weight
};

// The blocks that NormBackward runs, hence how dweight is added up: the same
// for all GPUs with that many multiprocessors.
int NormBackwardBlocks(const NormGradients& gradients, int multiprocessors);

// dx, and for each block the sums of its rows for dweight and, not for RMS
// norm, dbias: partial is f32 [1 or 2][blocks][width]. Each operand is read
// once up to a width of 16384 of 16 bits, 8192 of f32 or 4096 of rows that are
// not aligned; wider ones are read twice and their sums kept in `partial`.
cudaError_t LaunchNormBackward(const NormGradients& gradients, int blocks,
                               float* partial, cudaStream_t stream);

}  // namespace eisbach::cuda
