#include <algorithm>

#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/embedding_kernels.h"
#include "ops/cuda/row.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr long long kMostBlocks = 8192;  // of kernels that loop over a batch

// All bits are set, which is NaN in f32, bf16 and f16.
template <typename Word>
__device__ __forceinline__ Word NaNWord() {
  return static_cast<Word>(-1);
}
template <>
__device__ __forceinline__ uint4 NaNWord<uint4>() {
  return {~0u, ~0u, ~0u, ~0u};
}

// A row of `words` for each group of blockDim.x threads.
template <typename Word>
__global__ void __launch_bounds__(kBlock)
    EmbeddingForwardKernel(const int32_t* __restrict__ ids, long long count,
                           const Word* __restrict__ weight, long long first_row,
                           long long rows, long long vocab, int words,
                           Word* __restrict__ y) {
  const long long i = blockIdx.x * (long long)blockDim.y + threadIdx.y;
  if (i >= count) return;
  const long long id = ids[i];
  const bool inside = id >= 0 && id < vocab;
  const long long row = id - first_row;
  const bool here = inside && row >= 0 && row < rows;
  const Word elsewhere = inside ? Word{} : NaNWord<Word>();
  const Word* from = weight + (here ? row : 0) * words;
  Word* to = y + i * words;
#pragma unroll 4
  for (int c = static_cast<int>(threadIdx.x); c < words;
       c += static_cast<int>(blockDim.x)) {
    AsWord<Word>(to + c) = here ? AsWord<const Word>(from + c) : elsewhere;
  }
}

template <typename Word>
cudaError_t EmbeddingForward(const int32_t* ids, long long count,
                             const void* weight, long long first_row,
                             long long rows, long long vocab,
                             long long row_bytes, void* y,
                             cudaStream_t stream) {
  const int words = static_cast<int>(row_bytes / sizeof(Word));
  int lanes = 32;
  while (lanes < kBlock && 4 * lanes < words) lanes *= 2;
  const dim3 block(lanes, kBlock / lanes);
  return Launch(
      {dim3(BlocksFor(count, static_cast<int>(block.y))), block, stream},
      EmbeddingForwardKernel<Word>, ids, count,
      static_cast<const Word*>(weight), first_row, rows, vocab, words,
      static_cast<Word*>(y));
}

// A thread has a piece of the plane and every gridDim.y-th of the batch.
template <typename T, int kWide>
__global__ void __launch_bounds__(kBlock)
    AddPositionKernel(T* __restrict__ x, const T* __restrict__ weight,
                      long long batch, long long pieces) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= pieces) return;
  const auto w = Unpack<T, kWide>(LoadPiece<T, kWide>(weight + i * kWide));
#pragma unroll 4
  for (long long b = blockIdx.y; b < batch; b += gridDim.y) {
    T* at = x + (b * pieces + i) * kWide;
    Values<kWide> v = Unpack<T, kWide>(LoadPiece<T, kWide>(at));
#pragma unroll
    for (int j = 0; j < kWide; ++j) v.v[j] += w.v[j];
    StorePiece<T, kWide>(at, Pack<T, kWide>(v));
  }
}

template <typename T, int kWide>
__global__ void __launch_bounds__(kBlock)
    PositionBackwardKernel(const T* __restrict__ dy, long long batch,
                           long long pieces, long long all, bool accumulate,
                           float* __restrict__ dweight) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= all) return;
  float* at = dweight + i * kWide;
  Values<kWide> sum{};
  if (accumulate) sum = LoadValues<kWide>(at);
  if (i < pieces) {
    const T* row = dy + i * kWide;
#pragma unroll 4
    for (long long b = 0; b < batch; ++b) {
      const auto v =
          Unpack<T, kWide>(LoadPiece<T, kWide>(row + b * pieces * kWide));
#pragma unroll
      for (int j = 0; j < kWide; ++j) sum.v[j] += v.v[j];
    }
  }
  StoreValues<kWide>(at, sum);
}

template <typename T, int kWide>
cudaError_t AddPosition(T* x, const T* weight, long long batch, long long plane,
                        cudaStream_t stream) {
  const long long pieces = plane / kWide;
  const long long across = (pieces + kBlock - 1) / kBlock;
  const long long down =
      std::clamp<long long>(kMostBlocks / std::max(1LL, across), 1, batch);
  return Launch(
      {dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)),
       dim3(kBlock), stream},
      AddPositionKernel<T, kWide>, x, weight, batch, pieces);
}

template <typename T, int kWide>
cudaError_t PositionBackward(const T* dy, long long batch, long long plane,
                             long long elements, bool accumulate,
                             float* dweight, cudaStream_t stream) {
  // Sums that were there stay as they are beyond the positions.
  const long long all = (accumulate ? plane : elements) / kWide;
  return Launch({dim3(BlocksFor(all, kBlock)), dim3(kBlock), stream},
                PositionBackwardKernel<T, kWide>, dy, batch, plane / kWide, all,
                accumulate, dweight);
}

}  // namespace

cudaError_t LaunchEmbeddingForward(const int32_t* ids, long long count,
                                   const void* weight, long long first_row,
                                   long long rows, long long vocab,
                                   long long row_bytes, void* y,
                                   cudaStream_t stream) {
  const auto start = [&](auto word) {
    return EmbeddingForward<decltype(word)>(ids, count, weight, first_row, rows,
                                            vocab, row_bytes, y, stream);
  };
  const auto low_bits = reinterpret_cast<uintptr_t>(weight) |
                        reinterpret_cast<uintptr_t>(y) |
                        static_cast<uintptr_t>(row_bytes);
  if (low_bits % 16 == 0) return start(uint4{});
  if (low_bits % 4 == 0) return start(uint32_t{});
  return start(uint16_t{});
}

cudaError_t LaunchAddPosition(Type type, void* x, const void* weight,
                              long long batch, long long plane,
                              cudaStream_t stream) {
  if (batch == 0) return cudaSuccess;
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    T* data = static_cast<T*>(x);
    const T* table = static_cast<const T*>(weight);
    if (Vectorised(data, plane) && Vectorised(table, plane)) {
      return AddPosition<T, kPerVector<T>>(data, table, batch, plane, stream);
    }
    return AddPosition<T, 1>(data, table, batch, plane, stream);
  });
}

cudaError_t LaunchPositionBackward(Type type, const void* dy, long long batch,
                                   long long plane, long long elements,
                                   bool accumulate, float* dweight,
                                   cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(dy);
    constexpr int kWide = kPerVector<T>;
    if (Vectorised(data, plane) && Vectorised(dweight, plane) &&
        elements % kWide == 0) {
      return PositionBackward<T, kWide>(data, batch, plane, elements,
                                        accumulate, dweight, stream);
    }
    return PositionBackward<T, 1>(data, batch, plane, elements, accumulate,
                                  dweight, stream);
  });
}

}  // namespace eisbach::cuda
