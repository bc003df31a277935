#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/dropout_kernels.h"
#include "ops/cuda/pieces.cuh"
#include "ops/dropout_bits.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kUnroll = 2;  // pieces a thread

__device__ __forceinline__ uint32_t Word(const PhiloxCounter& words,
                                         unsigned i) {
  // No index into registers.
  const uint32_t low = i & 1 ? words[1] : words[0];
  const uint32_t high = i & 1 ? words[3] : words[2];
  return i & 2 ? high : low;
}

// Multiplies N elements from `feature` on, a multiple of 4 where N > 1.
template <int N>
__device__ __forceinline__ void Apply(Values<N>& piece, uint64_t feature,
                                      PhiloxCounter counter, PhiloxKey key,
                                      uint32_t threshold, float scale) {
#pragma unroll
  for (int q = 0; q < N; q += 4) {
    counter[0] = static_cast<uint32_t>((feature + q) / 4);
    const PhiloxCounter words = Philox(counter, key);
    if constexpr (N == 1) {
      const bool dropped =
          Word(words, static_cast<unsigned>(feature) % 4) >> 8 < threshold;
      piece.v[0] = dropped ? 0.0f : piece.v[0] * scale;
    } else {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const bool dropped = words[j] >> 8 < threshold;
        piece.v[q + j] = dropped ? 0.0f : piece.v[q + j] * scale;
      }
    }
  }
}

// A block has `columns` (a power of two) threads in a row and as many rows as
// that leaves; the first thread of each makes the key for the others.
template <typename T, int N>
__global__ void __launch_bounds__(kBlock)
    DropoutKernel(const T* x, T* y, DropoutShape shape, uint64_t seed,
                  uint64_t layer, const int64_t* sample_index,
                  const int64_t* step_pointer, uint32_t threshold, float scale,
                  unsigned columns, unsigned blocks_a_row) {
  EISBACH_SHARED(uint32_t, keys, [kBlock][2]);
  const unsigned column = threadIdx.x % columns, line = threadIdx.x / columns;
  const unsigned row = blockIdx.x / blocks_a_row * (kBlock / columns) + line;
  const unsigned positions = static_cast<unsigned>(shape.positions);
  const bool inside = row < shape.rows;
  const unsigned place = static_cast<unsigned>(shape.first_row) + row;
  const unsigned sample_at = inside ? place / positions : 0;
  const uint64_t sample = static_cast<uint64_t>(sample_index[sample_at]);
  const uint64_t step = static_cast<uint64_t>(*step_pointer);
  if (column == 0) {
    const PhiloxKey key = ops::DropoutKey(seed, layer, sample, step);
    keys[line][0] = key[0];
    keys[line][1] = key[1];
  }
  __syncthreads();
  if (!inside) return;
  const PhiloxKey key = {keys[line][0], keys[line][1]};
  const PhiloxCounter counter =
      ops::DropoutCounter(0, place - sample_at * positions, sample, step);
  const long long first =
      (long long)(blockIdx.x % blocks_a_row) * (columns * kUnroll) + column;
  const T* in = x + (long long)row * shape.width;
  T* out = y + (long long)row * shape.width;
  Values<N> pieces[kUnroll];
#pragma unroll
  for (int k = 0; k < kUnroll; ++k) {
    const long long at = (first + k * columns) * N;
    if (at < shape.width) pieces[k] = LoadPiece<N>(in + at);
  }
#pragma unroll
  for (int k = 0; k < kUnroll; ++k) {
    const long long at = (first + k * columns) * N;
    if (at >= shape.width) break;
    Apply<N>(pieces[k], static_cast<uint64_t>(shape.first_feature + at),
             counter, key, threshold, scale);
    StorePiece<N>(out + at, pieces[k]);
  }
}

// The threads that a row wants, as a power of two.
unsigned ColumnsFor(long long pieces) {
  unsigned columns = 1;
  while (columns < kBlock && columns * kUnroll < pieces) columns *= 2;
  return columns;
}

}  // namespace

cudaError_t LaunchDropout(Type type, const void* x, void* y,
                          const DropoutShape& shape, uint64_t seed,
                          uint64_t layer, const int64_t* sample_index,
                          const int64_t* step, uint32_t threshold, float scale,
                          cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* in = static_cast<const T*>(x);
    T* out = static_cast<T*>(y);
    const bool vectors = Vectorised(in, shape.width) &&
                         Vectorised(out, shape.width) &&
                         shape.first_feature % 4 == 0;
    return DispatchWidth<T>(vectors, [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      const long long pieces = shape.width / N;
      const unsigned columns = ColumnsFor(pieces);
      const unsigned a_row = BlocksFor(pieces, columns * kUnroll);
      const unsigned row_blocks = BlocksFor(shape.rows, kBlock / columns);
      return Launch({dim3(row_blocks * a_row), dim3(kBlock), stream},
                    DropoutKernel<T, N>, in, out, shape, seed, layer,
                    sample_index, step, threshold, scale, columns, a_row);
    });
  });
}

}  // namespace eisbach::cuda
