#include "ops/cuda/activation_kernels.h"
#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/exp.cuh"
#include "ops/cuda/pieces.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;

// gelu(x) = x logistic(z) with z = x (kLinear + kCubic x^2): the tanh form
// without the cancellation of 1 + tanh at negative x.
constexpr float kLinear = 1.5957691216057308f;
constexpr float kCubic = 0.07135481282553f;

template <typename T>
__device__ __forceinline__ float Gelu(float x) {
  return x * Logistic<T>(x * (kCubic * x * x + kLinear)).s;
}

// gelu'(x) = s + x s (1 - s) z'(x)
template <typename T>
__device__ __forceinline__ float GeluDerivative(float x) {
  const float x2 = x * x;
  const LogisticPair p = Logistic<T>(x * (kCubic * x2 + kLinear));
  const float slope = 3 * kCubic * x2 + kLinear;
  const float inner = p.s * p.complement * (x * slope);
  // Far out s (1 - s) is 0 and the slope may overflow.
  return fabsf(x) > 1e4f ? p.s : p.s + inner;
}

// A thread takes one vector, or one element of what is left at the end.
template <typename T>
__global__ void __launch_bounds__(kBlock)
    GeluForwardKernel(const T* x, T* y, long long vectors, long long n) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  constexpr int kWide = kPerVector<T>;
  if (i < vectors) {
    Floats<T> v = Load(x + i * kWide);
#pragma unroll
    for (int j = 0; j < kWide; ++j) v.v[j] = Gelu<T>(v.v[j]);
    Store(y + i * kWide, v);
    return;
  }
  const long long e = vectors * kWide + (i - vectors);
  if (e < n) y[e] = FromFloat<T>(Gelu<T>(ToFloat(x[e])));
}

template <typename T>
__global__ void __launch_bounds__(kBlock)
    GeluBackwardKernel(const T* dy, const T* x, T* dx, long long vectors,
                       long long n) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  constexpr int kWide = kPerVector<T>;
  if (i < vectors) {
    Floats<T> g = Load(dy + i * kWide);
    const Floats<T> v = Load(x + i * kWide);
#pragma unroll
    for (int j = 0; j < kWide; ++j) g.v[j] *= GeluDerivative<T>(v.v[j]);
    Store(dx + i * kWide, g);
    return;
  }
  const long long e = vectors * kWide + (i - vectors);
  if (e < n) {
    dx[e] = FromFloat<T>(ToFloat(dy[e]) * GeluDerivative<T>(ToFloat(x[e])));
  }
}

// y = gate s up, with s of GELU where `kGelu`. `pieces` of N elements in all,
// `a_row` of them in a row.
template <typename T, int N, bool kGelu>
__global__ void __launch_bounds__(kBlock)
    SwigluForwardKernel(const T* gate_up, T* y, unsigned a_row,
                        unsigned pieces) {
  const unsigned i = blockIdx.x * (unsigned)kBlock + threadIdx.x;
  if (i >= pieces) return;
  const unsigned row = i / a_row;
  const T* gate = gate_up + ((long long)row * a_row + i) * N;
  const Values<N> g = LoadPiece<N>(gate);
  Values<N> u = LoadPiece<N>(gate + (long long)a_row * N);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    u.v[j] *= kGelu ? Gelu<T>(g.v[j]) : g.v[j] * Logistic<T>(g.v[j]).s;
  }
  StorePiece<N>(y + (long long)i * N, u);
}

// d gate = dy up s (1 + gate (1 - s)),  d up = dy gate s; or those of GELU
template <typename T, int N, bool kGelu>
__global__ void __launch_bounds__(kBlock)
    SwigluBackwardKernel(const T* dy, const T* gate_up, T* dgate_up,
                         unsigned a_row, unsigned pieces) {
  const unsigned i = blockIdx.x * (unsigned)kBlock + threadIdx.x;
  if (i >= pieces) return;
  const unsigned row = i / a_row;
  const long long gate_at = ((long long)row * a_row + i) * N;
  const long long up_at = gate_at + (long long)a_row * N;
  const Values<N> d = LoadPiece<N>(dy + (long long)i * N);
  Values<N> g = LoadPiece<N>(gate_up + gate_at);
  Values<N> u = LoadPiece<N>(gate_up + up_at);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const float gate = g.v[j];
    if constexpr (kGelu) {
      g.v[j] = d.v[j] * u.v[j] * GeluDerivative<T>(gate);
      u.v[j] = d.v[j] * Gelu<T>(gate);
      continue;
    }
    const LogisticPair p = Logistic<T>(gate);
    g.v[j] = d.v[j] * u.v[j] * (p.s * (gate * p.complement + 1.0f));
    u.v[j] = d.v[j] * (gate * p.s);
  }
  StorePiece<N>(dgate_up + gate_at, g);
  StorePiece<N>(dgate_up + up_at, u);
}

template <typename T>
long long VectorsOf(const T* a, const T* b, const T* c, long long n) {
  const bool aligned = Vectorised(a, kPerVector<T>) &&
                       Vectorised(b, kPerVector<T>) &&
                       Vectorised(c, kPerVector<T>);
  return aligned ? n / kPerVector<T> : 0;
}

}  // namespace

cudaError_t LaunchGeluForward(Type type, const void* x, void* y, long long n,
                              cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* in = static_cast<const T*>(x);
    T* out = static_cast<T*>(y);
    const long long vectors = VectorsOf<T>(in, out, out, n);
    const long long threads = vectors + (n - vectors * kPerVector<T>);
    return Launch({dim3(BlocksFor(threads, kBlock)), dim3(kBlock), stream},
                  GeluForwardKernel<T>, in, out, vectors, n);
  });
}

cudaError_t LaunchGeluBackward(Type type, const void* dy, const void* x,
                               void* dx, long long n, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* g = static_cast<const T*>(dy);
    const T* in = static_cast<const T*>(x);
    T* out = static_cast<T*>(dx);
    const long long vectors = VectorsOf<T>(g, in, out, n);
    const long long threads = vectors + (n - vectors * kPerVector<T>);
    return Launch({dim3(BlocksFor(threads, kBlock)), dim3(kBlock), stream},
                  GeluBackwardKernel<T>, g, in, out, vectors, n);
  });
}

cudaError_t LaunchSwigluForward(Type type, const void* gate_up, void* y,
                                long long rows, long long width, bool gelu,
                                cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* in = static_cast<const T*>(gate_up);
    T* out = static_cast<T*>(y);
    const bool vectors = Vectorised(in, width) && Vectorised(out, width);
    return DispatchWidth<T>(vectors, [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      const unsigned a_row = static_cast<unsigned>(width / N);
      return ForRowParts(rows, a_row, [&](long long first, long long count) {
        const unsigned pieces = static_cast<unsigned>(count * a_row);
        const auto start = [&](auto kernel) {
          return Launch({dim3(BlocksFor(pieces, kBlock)), dim3(kBlock), stream},
                        kernel, in + first * 2 * width, out + first * width,
                        a_row, pieces);
        };
        return gelu ? start(SwigluForwardKernel<T, N, true>)
                    : start(SwigluForwardKernel<T, N, false>);
      });
    });
  });
}

cudaError_t LaunchSwigluBackward(Type type, const void* dy, const void* gate_up,
                                 void* dgate_up, long long rows,
                                 long long width, bool gelu,
                                 cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* g = static_cast<const T*>(dy);
    const T* in = static_cast<const T*>(gate_up);
    T* out = static_cast<T*>(dgate_up);
    const bool vectors =
        Vectorised(g, width) && Vectorised(in, width) && Vectorised(out, width);
    return DispatchWidth<T>(vectors, [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      const unsigned a_row = static_cast<unsigned>(width / N);
      return ForRowParts(rows, a_row, [&](long long first, long long count) {
        const unsigned pieces = static_cast<unsigned>(count * a_row);
        const auto start = [&](auto kernel) {
          return Launch({dim3(BlocksFor(pieces, kBlock)), dim3(kBlock), stream},
                        kernel, g + first * width, in + first * 2 * width,
                        out + first * 2 * width, a_row, pieces);
        };
        return gelu ? start(SwigluBackwardKernel<T, N, true>)
                    : start(SwigluBackwardKernel<T, N, false>);
      });
    });
  });
}

}  // namespace eisbach::cuda
