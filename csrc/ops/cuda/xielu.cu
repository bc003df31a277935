#include <algorithm>

#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/exp.cuh"
#include "ops/cuda/pieces.cuh"
#include "ops/cuda/row.cuh"
#include "ops/cuda/xielu_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kMostBlocks = 2048;
constexpr long long kMinElements = 16 * kBlock;  // of a block that sums
constexpr float kBeta = 0.5f;
constexpr float kEps = -1e-6f;

// log(1 + e^x), and its slope.
__device__ __forceinline__ float Softplus(float x) {
  return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
}
__device__ __forceinline__ float SoftplusSlope(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// expm1(min(x, eps)) - x, and expm1(min(x, eps)), its slope. Near 0 by the
// series, where e^v - 1 has few digits.
template <typename T>
__device__ __forceinline__ float NegativePart(float x, float& slope) {
  const float v = x >= kEps ? kEps : x;  // NaN stays
  float curve;
  if (v > -0.5f) {
    float q = 1.0f / 40320;
    q = __fmaf_rn(q, v, 1.0f / 5040);
    q = __fmaf_rn(q, v, 1.0f / 720);
    q = __fmaf_rn(q, v, 1.0f / 120);
    q = __fmaf_rn(q, v, 1.0f / 24);
    q = __fmaf_rn(q, v, 1.0f / 6);
    q = __fmaf_rn(q, v, 1.0f / 2);
    curve = v * v * q;
    slope = curve + v;
  } else {
    slope = ExpFor<T>(v) - 1.0f;
    curve = slope - v;
  }
  return curve + (v - x);
}

// A thread takes a piece of N elements, of which n is a multiple.
template <typename T, int N>
__global__ void __launch_bounds__(kBlock)
    XieluForwardKernel(const T* x, const T* alpha_p, const T* alpha_n, T* y,
                       long long pieces) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= pieces) return;
  const float p = Softplus(ToFloat(*alpha_p));
  const float n = kBeta + Softplus(ToFloat(*alpha_n));
  Values<N> v = LoadPiece<N>(x + i * N);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const float a = v.v[j];
    float slope;
    v.v[j] = a > 0.0f ? a * (p * a + kBeta)
                      : NegativePart<T>(a, slope) * n + kBeta * a;
  }
  StorePiece<N>(y + i * N, v);
}

// A block takes the pieces that lie a grid apart.
template <typename T, int N>
__global__ void __launch_bounds__(kBlock)
    XieluBackwardKernel(const T* dy, const T* x, const T* alpha_p,
                        const T* alpha_n, T* dx, float* partial,
                        long long pieces) {
  const float raw_p = ToFloat(*alpha_p), raw_n = ToFloat(*alpha_n);
  const float p = Softplus(raw_p), n = kBeta + Softplus(raw_n);
  float sums[2] = {0.0f, 0.0f};
  const long long step = (long long)gridDim.x * kBlock;
  for (long long i = blockIdx.x * (long long)kBlock + threadIdx.x; i < pieces;
       i += step) {
    Values<N> d = LoadPiece<N>(dy + i * N);
    const Values<N> v = LoadPiece<N>(x + i * N);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float a = v.v[j];
      if (a > 0.0f) {
        sums[0] += d.v[j] * (a * a);
        d.v[j] *= 2.0f * p * a + kBeta;
      } else {
        float slope;
        sums[1] += d.v[j] * NegativePart<T>(a, slope);
        d.v[j] *= slope * n + kBeta;
      }
    }
    StorePiece<N>(dx + i * N, d);
  }
  GroupReduce<SumOf>(sums);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sums[0] * SoftplusSlope(raw_p);
    partial[gridDim.x + blockIdx.x] = sums[1] * SoftplusSlope(raw_n);
  }
}

}  // namespace

cudaError_t LaunchXieluForward(Type type, const void* x, const void* alpha_p,
                               const void* alpha_n, void* y, long long n,
                               cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* in = static_cast<const T*>(x);
    T* out = static_cast<T*>(y);
    const bool vectors = Vectorised(in, n) && Vectorised(out, n);
    return DispatchWidth<T>(vectors, [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      return Launch({dim3(BlocksFor(n / N, kBlock)), dim3(kBlock), stream},
                    XieluForwardKernel<T, N>, in,
                    static_cast<const T*>(alpha_p),
                    static_cast<const T*>(alpha_n), out, n / N);
    });
  });
}

int XieluBackwardBlocks(long long n) {
  const long long wanted = (n + kMinElements - 1) / kMinElements;
  return static_cast<int>(
      std::max(1LL, std::min<long long>(wanted, kMostBlocks)));
}

cudaError_t LaunchXieluBackward(Type type, const void* dy, const void* x,
                                const void* alpha_p, const void* alpha_n,
                                void* dx, float* partial, long long n,
                                cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* g = static_cast<const T*>(dy);
    const T* in = static_cast<const T*>(x);
    T* out = static_cast<T*>(dx);
    const bool vectors =
        Vectorised(g, n) && Vectorised(in, n) && Vectorised(out, n);
    const unsigned blocks = static_cast<unsigned>(XieluBackwardBlocks(n));
    return DispatchWidth<T>(vectors, [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      return Launch({dim3(blocks), dim3(kBlock), stream},
                    XieluBackwardKernel<T, N>, g, in,
                    static_cast<const T*>(alpha_p),
                    static_cast<const T*>(alpha_n), out, partial, n / N);
    });
  });
}

}  // namespace eisbach::cuda
