#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/document_starts_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;

__global__ void __launch_bounds__(kBlock)
    DocumentPositionsKernel(const int* starts, long long elements,
                            long long length, int* positions) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  if (i >= elements) return;
  const int place = static_cast<int>(i % length);
  positions[i] = place - max(0, min(starts[i], place));
}

}  // namespace

cudaError_t LaunchDocumentPositions(const int* starts, long long elements,
                                    long long length, int* positions,
                                    cudaStream_t stream) {
  return Launch({dim3(BlocksFor(elements, kBlock)), dim3(kBlock), stream},
                DocumentPositionsKernel, starts, elements, length, positions);
}

}  // namespace eisbach::cuda
