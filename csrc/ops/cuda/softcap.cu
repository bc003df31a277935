#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/pieces.cuh"
#include "ops/cuda/softcap_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;

// A thread takes a piece of N elements, of which n is a multiple.
template <typename T, int N>
__global__ void __launch_bounds__(kBlock)
    SoftcapKernel(T* x, float cap, long long pieces) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= pieces) return;
  Values<N> v = LoadPiece<N>(x + i * N);
#pragma unroll
  for (int j = 0; j < N; ++j) v.v[j] = cap * tanhf(v.v[j] / cap);
  StorePiece<N>(x + i * N, v);
}

template <typename T, int N>
__global__ void __launch_bounds__(kBlock)
    SoftcapBackwardKernel(T* dy, const T* y, float cap, long long pieces) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= pieces) return;
  Values<N> gradient = LoadPiece<N>(dy + i * N);
  const Values<N> value = LoadPiece<N>(y + i * N);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const float bent = value.v[j] / cap;
    gradient.v[j] *= 1.0f - bent * bent;
  }
  StorePiece<N>(dy + i * N, gradient);
}

}  // namespace

cudaError_t LaunchSoftcap(Type type, void* x, float cap, long long n,
                          cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    T* data = static_cast<T*>(x);
    return DispatchWidth<T>(Vectorised(data, n), [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      return Launch({dim3(BlocksFor(n / N, kBlock)), dim3(kBlock), stream},
                    SoftcapKernel<T, N>, data, cap, n / N);
    });
  });
}

cudaError_t LaunchSoftcapBackward(Type type, void* dy, const void* y, float cap,
                                  long long n, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    T* gradient = static_cast<T*>(dy);
    const T* value = static_cast<const T*>(y);
    const bool vectors = Vectorised(gradient, n) && Vectorised(value, n);
    return DispatchWidth<T>(vectors, [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      return Launch({dim3(BlocksFor(n / N, kBlock)), dim3(kBlock), stream},
                    SoftcapBackwardKernel<T, N>, gradient, value, cap, n / N);
    });
  });
}

}  // namespace eisbach::cuda
