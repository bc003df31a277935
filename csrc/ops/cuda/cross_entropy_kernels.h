#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Rows of logits [rows, width] of which `valid` columns are no padding; column
// c stands for token first_column + c. See ops/cross_entropy.h.
struct LossShape {
  long long rows;
  long long width;
  long long valid;
  long long first_column;
};

// ops::LossTerms, of a vocabulary of so many tokens.
struct LossTerms {
  float z_loss;
  float label_smoothing;
  long long vocab;
};

// stats f32 [rows, width], 3 or 4 with the sum. The maximum leaves NaN out: it
// shows in the sum.
cudaError_t LaunchCrossEntropyStats(Type type, const void* logits,
                                    const int* targets, const LossShape& shape,
                                    float* stats, int width,
                                    cudaStream_t stream);

// stats f32 [ranks, tokens, width]; lse, loss f32 [tokens]; `counted` and
// `added`, f32 [2, tokens], may be null.
struct LossOutput {
  double* counted;
  float* lse;
  float* loss;
  float* added;
};
cudaError_t LaunchCrossEntropyCombine(const float* stats, long long ranks,
                                      long long tokens, int width,
                                      const int* targets,
                                      const LossTerms& terms,
                                      const LossOutput& out,
                                      cudaStream_t stream);

// In place; padding is written and not read. `factor` and `weights`, one a row,
// may be null.
cudaError_t LaunchCrossEntropyBackward(
    Type type, void* logits, const int* targets, const float* lse,
    const LossShape& shape, float scale, const float* factor,
    const float* weights, const LossTerms& terms, cudaStream_t stream);

}  // namespace eisbach::cuda
