#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/type.h"

// The launchers of ops/embedding.h. Rows are moved in pieces of 16 bytes where
// they are aligned.
namespace eisbach::cuda {

// y[i] = weight[ids[i] - first_row], zeros where there is no such row, NaN
// where the id is not in [0, vocab); a row is `row_bytes`, an even number.
cudaError_t LaunchEmbeddingForward(const int32_t* ids, long long count,
                                   const void* weight, long long first_row,
                                   long long rows, long long vocab,
                                   long long row_bytes, void* y,
                                   cudaStream_t stream);

// The gradient of a table in two steps. First the tokens are sorted by row, in
// buckets whose places atomic counters give out: the place differs from run to
// run, the order in a bucket does not. It costs a few passes over ids and row
// counts, and comparisons that grow with the square of the largest bucket.
// Then a warp for each row that occurs and some columns reads its part of dy
// once and writes its part of dweight once. The host waits for nothing.
struct TokenBuckets {
  // In one piece of memory of BucketBytes, on a 16-byte boundary, of which the
  // first `cleared` bytes must be zero before LaunchSortTokens.
  TokenBuckets(void* memory, long long tokens, long long rows);

  long long tokens;
  long long rows;
  unsigned long long* cursor;  // rows met << 32 | tokens placed
  int* counts;                 // [rows] tokens of each row
  int* starts;                 // [rows] first token of those that occur
  int* arrivals;               // [tokens] in any order among those of its row
  int* placed;                 // [tokens] by row
  int* sorted;                 // [tokens] by row and in their order
  int* occurring;              // [min(tokens, rows)] rows, in any order
  long long cleared;
};
long long BucketBytes(long long tokens, long long rows);

// Ids outside [first_row, first_row + rows) are in no bucket.
cudaError_t LaunchSortTokens(const int32_t* ids, long long first_row,
                             const TokenBuckets& buckets, cudaStream_t stream);

// dweight (f32 [rows, width]) from dy [tokens, width] and sorted tokens.
cudaError_t LaunchEmbeddingBackward(Type type, const void* dy, long long width,
                                    const TokenBuckets& buckets,
                                    bool accumulate, float* dweight,
                                    cudaStream_t stream);

// x [batch, positions, width] += weight [positions, width], which is read once.
cudaError_t LaunchAddPosition(Type type, void* x, const void* weight,
                              long long batch, long long plane,
                              cudaStream_t stream);

// dweight[i] = the sum over the batch of dy [batch, plane] for i < plane, plus
// what was there when `accumulate`; else zero from there to `elements`.
cudaError_t LaunchPositionBackward(Type type, const void* dy, long long batch,
                                   long long plane, long long elements,
                                   bool accumulate, float* dweight,
                                   cudaStream_t stream);

}  // namespace eisbach::cuda
