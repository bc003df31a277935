#include <algorithm>

#include "device/cuda/portable.h"
#include "ops/cuda/fingerprint_kernels.h"
#include "ops/cuda/reduce.cuh"
#include "ops/fingerprint_bits.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr long long kMostBlocks = 2048;

// Threads take elements a grid apart; the sum is one of integers, which no
// order changes.
template <typename Word>
__global__ void __launch_bounds__(kBlock)
    FingerprintKernel(const Word* __restrict__ x, long long n,
                      unsigned long long* out) {
  unsigned long long sum = 0;
  const long long first = blockIdx.x * (long long)kBlock + threadIdx.x;
#pragma unroll 4
  for (long long i = first; i < n; i += (long long)gridDim.x * kBlock) {
    sum += ops::MixElement(x[i], static_cast<unsigned>(i));
  }
  sum = BlockReduce<SumOf>(sum);
  if (threadIdx.x == 0) atomicAdd(out, sum);
}

template <typename Word>
cudaError_t Fingerprint(const void* x, long long n, unsigned long long* out,
                        cudaStream_t stream) {
  const long long blocks = std::min((n + kBlock - 1) / kBlock, kMostBlocks);
  return Launch({dim3(static_cast<unsigned>(blocks)), dim3(kBlock), stream},
                FingerprintKernel<Word>, static_cast<const Word*>(x), n, out);
}

}  // namespace

cudaError_t LaunchFingerprint(Type type, const void* x, long long n,
                              unsigned long long* out, cudaStream_t stream) {
  return type == Type::kF32 ? Fingerprint<unsigned>(x, n, out, stream)
                            : Fingerprint<unsigned short>(x, n, out, stream);
}

}  // namespace eisbach::cuda
