#include "ops/cuda/rounding.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kWide = 4;  // elements a thread

// Elements from -head on, `head` of which are before the range: where `wide`,
// a thread's four are moved at once.
__global__ void __launch_bounds__(kBlock)
    RoundKernel(const float* from, BF16* to, long long n, long long head,
                bool wide, Rounding rounding) {
  const long long thread = blockIdx.x * (long long)kBlock + threadIdx.x;
  const long long at = thread * kWide - head;
  if (wide && at >= 0 && at + kWide <= n) {
    StoreFourRounded(to, Load(from + at).v, at, rounding);
    return;
  }
#pragma unroll
  for (int j = 0; j < kWide; ++j) {
    if (at + j < 0 || at + j >= n) continue;
    StoreRounded(to, from[at + j], at + j, rounding);
  }
}

}  // namespace

cudaError_t LaunchRoundStochastically(const float* from, void* to, long long n,
                                      const Rounding& rounding,
                                      cudaStream_t stream) {
  BF16* data = static_cast<BF16*>(to);
  if (n == 0) return cudaSuccess;
  const long long head = rounding.first % kWide;
  const auto begins = [&](const auto* p) {
    return reinterpret_cast<uintptr_t>(p - head) % (kWide * sizeof(*p)) == 0;
  };
  return Launch({dim3(BlocksFor((n + head + kWide - 1) / kWide, kBlock)),
                 dim3(kBlock), stream},
                RoundKernel, from, data, n, head, begins(from) && begins(data),
                rounding);
}

}  // namespace eisbach::cuda
