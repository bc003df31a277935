#include <algorithm>

#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/reduce_kernels.h"
#include "ops/cuda/row.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr long long kColumns = 256;  // of a block, about
constexpr long long kWanted = 1024;  // blocks that fill any GPU
constexpr long long kMinChunk = 128;

constexpr long long kSumBlock = 8192;  // elements, at least
constexpr int kMaxSumBlocks = 2048;

// Adds rows threadIdx.y, threadIdx.y + blockDim.y, ... of the chunk in each of
// kWide columns, then those sums in order.
template <typename T, int kWide>
__global__ void __launch_bounds__(kBlock)
    ColumnSumKernel(const T* __restrict__ x, long long rows, int count,
                    long long chunk, bool accumulate, float* __restrict__ out) {
  EISBACH_SHARED(float, sums, [kBlock * kWide]);
  const long long width = (long long)count * kWide;
  const int piece = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const long long first = blockIdx.y * chunk;
  const long long end = min(rows, first + chunk);
  Values<kWide> sum{};
  if (piece < count) {
    const T* column = x + (long long)piece * kWide;
#pragma unroll 4
    for (long long r = first + threadIdx.y; r < end; r += blockDim.y) {
      const auto v = Unpack<T, kWide>(LoadPiece<T, kWide>(column + r * width));
#pragma unroll
      for (int j = 0; j < kWide; ++j) sum.v[j] += v.v[j];
    }
  }
  const int columns = static_cast<int>(blockDim.x) * kWide;
  StoreValues<kWide>(sums + threadIdx.y * columns + threadIdx.x * kWide, sum);
  __syncthreads();
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int c = thread; c < columns; c += kBlock) {
    const long long f = (long long)blockIdx.x * columns + c;
    if (f >= width) continue;
    float total = 0.0f;
    for (unsigned y = 0; y < blockDim.y; ++y) total += sums[y * columns + c];
    float& result = out[blockIdx.y * width + f];
    result = accumulate ? result + total : total;
  }
}

// Each block adds up `share` elements, a multiple of kBlock * 4.
template <bool kSquare>
__global__ void __launch_bounds__(kBlock)
    SumKernel(const float* __restrict__ x, long long n, long long share,
              bool vectorised, double* __restrict__ partial) {
  const long long first = blockIdx.x * share;
  const long long end = min(n, first + share);
  double sum = 0.0;
  const auto add = [&](float v) {
    const double d = v;
    sum += kSquare ? d * d : d;
  };
  constexpr int kWide = kPerVector<float>;
#pragma unroll 4
  for (long long i = first + threadIdx.x * kWide; i < end;
       i += kBlock * kWide) {
    if (vectorised && i + kWide <= end) {
      const Floats<float> v = Load(x + i);
#pragma unroll
      for (int j = 0; j < kWide; ++j) add(v.v[j]);
    } else {
      for (int j = 0; j < kWide; ++j) {
        if (i + j < end) add(x[i + j]);
      }
    }
  }
  sum = BlockReduce<SumOf>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kBlock)
    AddSumsKernel(const double* __restrict__ partial, int blocks,
                  bool accumulate, double* out) {
  double sum = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < blocks; i += kBlock) {
    sum += partial[i];
  }
  sum = BlockReduce<SumOf>(sum);
  if (threadIdx.x == 0) *out = accumulate ? *out + sum : sum;
}

// Threads take pieces a grid apart; counts are integers, whose sum no order
// changes.
template <typename T, int kWide>
__global__ void __launch_bounds__(kBlock)
    CountNonFiniteKernel(const T* __restrict__ x, long long pieces, long long n,
                         unsigned long long* out) {
  const auto odd = [](float v) { return !(fabsf(v) < INFINITY); };
  const long long thread = blockIdx.x * (long long)kBlock + threadIdx.x;
  unsigned found = 0;
#pragma unroll 4
  for (long long i = thread; i < pieces; i += (long long)gridDim.x * kBlock) {
    const auto v = Unpack<T, kWide>(LoadPiece<T, kWide>(x + i * kWide));
#pragma unroll
    for (int j = 0; j < kWide; ++j) found += odd(v.v[j]) ? 1u : 0u;
  }
  const long long rest = pieces * kWide + thread;
  if (rest < n) found += odd(ToFloat(x[rest])) ? 1u : 0u;
  found = BlockReduce<SumOf>(found);
  if (threadIdx.x == 0 && found > 0) {
    atomicAdd(out, static_cast<unsigned long long>(found));
  }
}

long long Divide(long long a, long long b) { return (a + b - 1) / b; }

template <typename T, int kWide>
cudaError_t ColumnSum(const T* x, long long rows, long long width,
                      long long chunk, bool accumulate, float* out,
                      cudaStream_t stream) {
  const int count = static_cast<int>(width / kWide);
  const long long chunks = std::max(1LL, Divide(rows, chunk));
  int lanes = 1;
  while (lanes < 32 && lanes < count) lanes *= 2;
  // Narrower blocks where there would be few.
  while (lanes > 8 && Divide(count, lanes) * chunks < kWanted / 4) lanes /= 2;
  const dim3 grid(BlocksFor(count, lanes), static_cast<unsigned>(chunks));
  return Launch({grid, dim3(lanes, kBlock / lanes), stream},
                ColumnSumKernel<T, kWide>, x, rows, count, chunk, accumulate,
                out);
}

}  // namespace

long long ColumnSumChunk(long long rows, long long width) {
  const long long across = Divide(width, kColumns);
  const long long chunks = std::max(1LL, kWanted / std::max(1LL, across));
  return std::max(kMinChunk, Divide(rows, chunks));
}

cudaError_t LaunchColumnSum(Type type, const void* x, long long rows,
                            long long width, long long chunk, bool accumulate,
                            float* out, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(x);
    if (Vectorised(data, width)) {
      return ColumnSum<T, kPerVector<T>>(data, rows, width, chunk, accumulate,
                                         out, stream);
    }
    return ColumnSum<T, 1>(data, rows, width, chunk, accumulate, out, stream);
  });
}

int SumBlocks(long long n) {
  return static_cast<int>(
      std::clamp<long long>(Divide(n, kSumBlock), 1, kMaxSumBlocks));
}

cudaError_t LaunchSum(const float* x, long long n, int power, double* partial,
                      bool accumulate, double* out, cudaStream_t stream) {
  const int blocks = SumBlocks(n);
  const long long share = Divide(Divide(n, blocks), kSumBlock) * kSumBlock;
  const bool vectorised = Vectorised(x, 0);
  const cudaError_t error =
      Launch({dim3(static_cast<unsigned>(blocks)), dim3(kBlock), stream},
             power == 2 ? SumKernel<true> : SumKernel<false>, x, n, share,
             vectorised, partial);
  if (error != cudaSuccess) return error;
  return Launch({dim3(1), dim3(kBlock), stream}, AddSumsKernel, partial, blocks,
                accumulate, out);
}

cudaError_t LaunchCountNonFinite(Type type, const void* x, long long n,
                                 unsigned long long* out, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    constexpr int kWide = kPerVector<T>;
    const T* data = static_cast<const T*>(x);
    const bool vectorised = Vectorised(data, 0);
    const dim3 grid(static_cast<unsigned>(
        std::min(Divide(n, (long long)kBlock * kWide), 2 * kWanted)));
    if (vectorised) {
      return Launch({grid, dim3(kBlock), stream},
                    CountNonFiniteKernel<T, kWide>, data, n / kWide, n, out);
    }
    return Launch({grid, dim3(kBlock), stream}, CountNonFiniteKernel<T, 1>,
                  data, n, n, out);
  });
}

}  // namespace eisbach::cuda
