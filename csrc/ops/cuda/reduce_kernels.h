#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Rows that ColumnSum adds up before it adds up those sums: it depends on the
// shape alone, and keeps the sums below 3% of the bytes of x.
long long ColumnSumChunk(long long rows, long long width);

// out[c][f] = the sum of x[r][f] over the rows r of chunk c, plus what was
// there when `accumulate`; x [rows, width], out f32 [chunks, width]. Without
// rows there is one chunk.
cudaError_t LaunchColumnSum(Type type, const void* x, long long rows,
                            long long width, long long chunk, bool accumulate,
                            float* out, cudaStream_t stream);

// The partial sums, in f64, that Sum needs memory for.
int SumBlocks(long long n);

// out = the sum of x^power, 1 or 2, plus what was there when `accumulate`.
cudaError_t LaunchSum(const float* x, long long n, int power, double* partial,
                      bool accumulate, double* out, cudaStream_t stream);

// Adds to out how many of x are NaN or infinite.
cudaError_t LaunchCountNonFinite(Type type, const void* x, long long n,
                                 unsigned long long* out, cudaStream_t stream);

}  // namespace eisbach::cuda
