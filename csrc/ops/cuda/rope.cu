#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/pieces.cuh"
#include "ops/cuda/rope_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kHeads = 4;  // heads that a thread rotates by the same angles

// A thread takes N pairs of every `groups`-th head of a row: cos and sin are
// read once for them, and neighbours read neighbouring memory.
template <typename T, int N>
__global__ void __launch_bounds__(kBlock)
    RopeKernel(T* qkv, const float* table, const int* starts, unsigned items,
               long long width, unsigned first_position, unsigned positions,
               int heads, int head_dim, int half, unsigned pieces,
               unsigned groups, float sign) {
  const unsigned i = blockIdx.x * (unsigned)kBlock + threadIdx.x;
  if (i >= items) return;
  const unsigned piece = i % pieces, group = i / pieces % groups;
  const unsigned row = i / pieces / groups;
  unsigned position = (first_position + row) % positions;
  if (starts != nullptr) {
    const int place = static_cast<int>(position);
    position = static_cast<unsigned>(place - max(0, min(starts[row], place)));
  }
  const float* angles = table + (position * (long long)half + piece * N) * 2;
  float c[N], s[N];
  if constexpr (N == 1) {
    c[0] = angles[0];
    s[0] = sign * angles[1];
  } else {
#pragma unroll
    for (int j = 0; j < N; j += 2) {
      const Floats<float> two = Load(angles + 2 * j);
      c[j] = two.v[0];
      s[j] = sign * two.v[1];
      c[j + 1] = two.v[2];
      s[j + 1] = sign * two.v[3];
    }
  }
  T* x = qkv + row * width + piece * N;
#pragma unroll
  for (int k = 0; k < kHeads; ++k) {
    const int head = static_cast<int>(group + k * groups);
    if (head >= heads) break;
    T* low = x + (long long)head * head_dim;
    Values<N> a = LoadPiece<N>(low), b = LoadPiece<N>(low + half);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float rotated = a.v[j] * c[j] - b.v[j] * s[j];
      b.v[j] = b.v[j] * c[j] + a.v[j] * s[j];
      a.v[j] = rotated;
    }
    StorePiece<N>(low, a);
    StorePiece<N>(low + half, b);
  }
}

}  // namespace

cudaError_t LaunchRope(Type type, void* qkv, const float* table,
                       const int* starts, long long rows, long long width,
                       long long positions, int rotated_heads, int head_dim,
                       int half, bool inverse, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    T* x = static_cast<T*>(qkv);
    const bool vectors = Vectorised(x, half) && Vectorised(x, head_dim) &&
                         Vectorised(table, half * 2);
    return DispatchWidth<T>(vectors, [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      const unsigned pieces = static_cast<unsigned>(half / N);
      const unsigned groups = BlocksFor(rotated_heads, kHeads);
      const long long a_row = (long long)pieces * groups;
      return ForRowParts(rows, a_row, [&](long long first, long long count) {
        const unsigned items = static_cast<unsigned>(count * a_row);
        return Launch({dim3(BlocksFor(items, kBlock)), dim3(kBlock), stream},
                      RopeKernel<T, N>, x + first * width, table,
                      starts == nullptr ? nullptr : starts + first, items,
                      width, static_cast<unsigned>(first % positions),
                      static_cast<unsigned>(positions), rotated_heads, head_dim,
                      half, pieces, groups, inverse ? -1.0f : 1.0f);
      });
    });
  });
}

}  // namespace eisbach::cuda
