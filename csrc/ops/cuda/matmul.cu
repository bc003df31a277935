#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/matmul_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;

template <typename C, typename B>
__global__ void __launch_bounds__(kBlock)
    AddBiasKernel(C* c, const B* bias, long long m, long long n,
                  long long ldc) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= m * n) return;
  C* const place = c + i / n * ldc + i % n;
  *place = FromFloat<C>(ToFloat(*place) + ToFloat(bias[i % n]));
}

}  // namespace

cudaError_t LaunchAddBias(Type c_type, Type bias_type, void* c,
                          const void* bias, long long m, long long n,
                          long long ldc, cudaStream_t stream) {
  return Dispatch(c_type, [&](auto c_zero) {
    return Dispatch(bias_type, [&](auto bias_zero) {
      using C = decltype(c_zero);
      using B = decltype(bias_zero);
      return Launch({dim3(BlocksFor(m * n, kBlock)), dim3(kBlock), stream},
                    AddBiasKernel<C, B>, static_cast<C*>(c),
                    static_cast<const B*>(bias), m, n, ldc);
    });
  });
}

}  // namespace eisbach::cuda
