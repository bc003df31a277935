#include <algorithm>

#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/embedding_kernels.h"
#include "ops/cuda/row.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kSumBlock = 128;
constexpr int kInFlight = 8;  // tokens whose rows are read at once
constexpr long long kMostBlocks = 8192;

// The row of token i, -1 for none.
__device__ __forceinline__ long long RowOf(const int32_t* ids, long long i,
                                           long long first_row,
                                           const TokenBuckets& b) {
  if (i >= b.tokens) return -1;
  const long long row = ids[i] - first_row;
  return row < b.rows ? row : -1;
}

__global__ void __launch_bounds__(kBlock)
    CountTokensKernel(const int32_t* __restrict__ ids, long long first_row,
                      TokenBuckets b) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  const long long row = RowOf(ids, i, first_row, b);
  if (row >= 0) b.arrivals[i] = atomicAdd(b.counts + row, 1);
}

// The first to arrive takes the memory for all tokens of its row.
__global__ void __launch_bounds__(kBlock)
    PlaceBucketsKernel(const int32_t* __restrict__ ids, long long first_row,
                       TokenBuckets b) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  const long long row = RowOf(ids, i, first_row, b);
  if (row < 0 || b.arrivals[i] != 0) return;
  const unsigned long long add =
      (1ull << 32) + static_cast<unsigned>(b.counts[row]);
  const unsigned long long before = atomicAdd(b.cursor, add);
  b.starts[row] = static_cast<int>(before & 0xffffffffu);
  b.occurring[before >> 32] = static_cast<int>(row);
}

__global__ void __launch_bounds__(kBlock)
    PlaceTokensKernel(const int32_t* __restrict__ ids, long long first_row,
                      TokenBuckets b) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  const long long row = RowOf(ids, i, first_row, b);
  if (row >= 0) b.placed[b.starts[row] + b.arrivals[i]] = static_cast<int>(i);
}

// A token's rank is the number of earlier ones in its bucket.
__global__ void __launch_bounds__(kBlock)
    SortTokensKernel(const int32_t* __restrict__ ids, long long first_row,
                     TokenBuckets b) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  const long long row = RowOf(ids, i, first_row, b);
  if (row < 0) return;
  const int start = b.starts[row], count = b.counts[row];
  const int* bucket = b.placed + start;
  const int token = static_cast<int>(i);
  int rank = 0;
#pragma unroll 8
  for (int k = 0; k < count; ++k) rank += bucket[k] < token ? 1 : 0;
  b.sorted[start + rank] = token;
}

// Zeros in the rows that do not occur, a warp a row.
template <int kWide>
__global__ void __launch_bounds__(kBlock)
    ClearRowsKernel(const int* __restrict__ counts, long long rows, int pieces,
                    float* __restrict__ dweight) {
  const long long row = blockIdx.x * (long long)blockDim.y + threadIdx.y;
  if (row >= rows || counts[row] > 0) return;
  float* at = dweight + row * pieces * kWide;
  for (int c = static_cast<int>(threadIdx.x); c < pieces; c += 32) {
    StoreValues<kWide>(at + c * kWide, Values<kWide>{});
  }
}

// A warp takes 32 pieces of the columns of a row that occurs at a time. The
// sums are in the order of the tokens; kInFlight of them are on their way.
template <typename T, int kWide>
__global__ void __launch_bounds__(kSumBlock, 1)
    SumTokensKernel(const T* __restrict__ dy, TokenBuckets b, int pieces,
                    bool accumulate, float* __restrict__ dweight) {
  const long long slabs = (pieces + 31) / 32;
  const long long items = static_cast<long long>(*b.cursor >> 32) * slabs;
  const long long warps = (long long)gridDim.x * blockDim.y;
  const int* const sorted = b.sorted;
#pragma unroll 1
  for (long long item = blockIdx.x * (long long)blockDim.y + threadIdx.y;
       item < items; item += warps) {
    const long long row = b.occurring[item / slabs];
    const int piece = static_cast<int>(item % slabs * 32 + threadIdx.x);
    if (piece >= pieces) continue;
    const int* bucket = sorted + b.starts[row];
    const int count = b.counts[row];
    const T* column = dy + (long long)piece * kWide;
    float* at = dweight + (row * pieces + piece) * kWide;
    Values<kWide> sum{};
    if (accumulate) sum = LoadValues<kWide>(at);
    for (int k = 0; k < count; k += kInFlight) {
      Piece<T, kWide> rows[kInFlight];
#pragma unroll
      for (int q = 0; q < kInFlight; ++q) {
        if (k + q < count) {
          const long long token = bucket[k + q];
          rows[q] = LoadPiece<T, kWide>(column + token * pieces * kWide);
        }
      }
#pragma unroll
      for (int q = 0; q < kInFlight; ++q) {
        if (k + q < count) {
          const Values<kWide> v = Unpack<T, kWide>(rows[q]);
#pragma unroll
          for (int j = 0; j < kWide; ++j) sum.v[j] += v.v[j];
        }
      }
    }
    StoreValues<kWide>(at, sum);
  }
}

template <typename T, int kWide>
cudaError_t SumTokens(const T* dy, long long width, const TokenBuckets& b,
                      bool accumulate, float* dweight, cudaStream_t stream) {
  const int pieces = static_cast<int>(width / kWide);
  if (!accumulate) {
    const dim3 block(32, kBlock / 32);
    const cudaError_t error = Launch(
        {dim3(BlocksFor(b.rows, static_cast<int>(block.y))), block, stream},
        ClearRowsKernel<kWide>, static_cast<const int*>(b.counts), b.rows,
        pieces, dweight);
    if (error != cudaSuccess) return error;
  }
  const dim3 block(32, kSumBlock / 32);
  const long long most = std::min(b.tokens, b.rows) * ((pieces + 31) / 32);
  const long long blocks = std::min<long long>(
      BlocksFor(most, static_cast<int>(block.y)), kMostBlocks);
  return Launch({dim3(static_cast<unsigned>(blocks)), block, stream},
                SumTokensKernel<T, kWide>, dy, b, pieces, accumulate, dweight);
}

}  // namespace

long long BucketBytes(long long tokens, long long rows) {
  return 16 + static_cast<long long>(sizeof(int)) *
                  (2 * rows + 3 * tokens + std::min(tokens, rows));
}

TokenBuckets::TokenBuckets(void* memory, long long tokens_of, long long rows_of)
    : tokens(tokens_of), rows(rows_of) {
  cursor = static_cast<unsigned long long*>(memory);
  counts = static_cast<int*>(memory) + 4;
  starts = counts + rows;
  arrivals = starts + rows;
  placed = arrivals + tokens;
  sorted = placed + tokens;
  occurring = sorted + tokens;
  cleared = 16 + rows * static_cast<long long>(sizeof(int));
}

cudaError_t LaunchSortTokens(const int32_t* ids, long long first_row,
                             const TokenBuckets& b, cudaStream_t stream) {
  for (auto kernel : {CountTokensKernel, PlaceBucketsKernel, PlaceTokensKernel,
                      SortTokensKernel}) {
    const cudaError_t error =
        Launch({dim3(BlocksFor(b.tokens, kBlock)), dim3(kBlock), stream},
               kernel, ids, first_row, b);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t LaunchEmbeddingBackward(Type type, const void* dy, long long width,
                                    const TokenBuckets& buckets,
                                    bool accumulate, float* dweight,
                                    cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(dy);
    constexpr int kWide = kPerVector<T>;
    if (Vectorised(data, width) && Vectorised(dweight, width)) {
      return SumTokens<T, kWide>(data, width, buckets, accumulate, dweight,
                                 stream);
    }
    return SumTokens<T, 1>(data, width, buckets, accumulate, dweight, stream);
  });
}

}  // namespace eisbach::cuda
