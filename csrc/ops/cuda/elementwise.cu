#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/elementwise_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;

// A thread takes one vector, or one element of what is left at the end.
template <typename T>
__global__ void __launch_bounds__(kBlock)
    AddKernel(const T* a, const T* b, T* c, long long vectors, long long n) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  constexpr int kWide = kPerVector<T>;
  if (i < vectors) {
    Floats<T> x = Load(a + i * kWide);
    const Floats<T> y = Load(b + i * kWide);
#pragma unroll
    for (int j = 0; j < kWide; ++j) x.v[j] += y.v[j];
    Store(c + i * kWide, x);
    return;
  }
  const long long e = vectors * kWide + (i - vectors);
  if (e < n) c[e] = FromFloat<T>(ToFloat(a[e]) + ToFloat(b[e]));
}

template <typename T>
__global__ void __launch_bounds__(kBlock)
    ScaleKernel(T* x, float factor, long long vectors, long long n) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  constexpr int kWide = kPerVector<T>;
  if (i < vectors) {
    Floats<T> v = Load(x + i * kWide);
#pragma unroll
    for (int j = 0; j < kWide; ++j) v.v[j] *= factor;
    Store(x + i * kWide, v);
    return;
  }
  const long long e = vectors * kWide + (i - vectors);
  if (e < n) x[e] = FromFloat<T>(ToFloat(x[e]) * factor);
}

template <typename T>
long long VectorsOf(const T* p, long long n) {
  return Vectorised(p, kPerVector<T>) ? n / kPerVector<T> : 0;
}

}  // namespace

cudaError_t LaunchAdd(Type type, const void* a, const void* b, void* c,
                      long long n, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(a);
    const T* y = static_cast<const T*>(b);
    T* out = static_cast<T*>(c);
    long long vectors = VectorsOf(x, n);
    if (VectorsOf(y, n) == 0 || VectorsOf(out, n) == 0) vectors = 0;
    const long long threads = vectors + (n - vectors * kPerVector<T>);
    return Launch({dim3(BlocksFor(threads, kBlock)), dim3(kBlock), stream},
                  AddKernel<T>, x, y, out, vectors, n);
  });
}

cudaError_t LaunchScale(Type type, void* x, float factor, long long n,
                        cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    T* data = static_cast<T*>(x);
    const long long vectors = VectorsOf(data, n);
    const long long threads = vectors + (n - vectors * kPerVector<T>);
    return Launch({dim3(BlocksFor(threads, kBlock)), dim3(kBlock), stream},
                  ScaleKernel<T>, data, factor, vectors, n);
  });
}

}  // namespace eisbach::cuda
