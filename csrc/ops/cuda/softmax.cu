#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/row.cuh"
#include "ops/cuda/softmax_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 128;  // threads that small rows share
constexpr int kMaxThreads = 1024;
constexpr int kMaxBackwardThreads = 512;  // which keep two rows

template <typename T, int kWide, int kPieces>
__global__ void __launch_bounds__(kMaxThreads, 1)
    SoftmaxForwardKernel(const T* __restrict__ x, T* __restrict__ y,
                         long long rows, int count) {
  const long long r = blockIdx.x * (long long)blockDim.y + threadIdx.y;
  const long long at = r * count * kWide;
  // A group without a row only meets the others at barriers.
  const int mine = r < rows ? count : 0;
  const Row<T, kWide, kPieces> row(x + at, mine);
  float top[1] = {MaxOf::kIdentity};
  ForEachPiece<kPieces>(mine, [&](int p, int i) {
    const Values<kWide> v = row.Get(p, i);
#pragma unroll
    for (int j = 0; j < kWide; ++j) top[0] = MaxOf::Apply(top[0], v.v[j]);
  });
  GroupReduce<MaxOf>(top);
  float sum[1] = {0.0f};
  ForEachPiece<kPieces>(mine, [&](int p, int i) {
    const Values<kWide> v = row.Get(p, i);
#pragma unroll
    for (int j = 0; j < kWide; ++j) sum[0] += expf(v.v[j] - top[0]);
  });
  GroupReduce<SumOf>(sum);
  const float scale = 1.0f / sum[0];
  ForEachPiece<kPieces>(mine, [&](int p, int i) {
    Values<kWide> v = row.Get(p, i);
#pragma unroll
    for (int j = 0; j < kWide; ++j) v.v[j] = expf(v.v[j] - top[0]) * scale;
    StorePiece<T, kWide>(y + at + i * kWide, Pack<T, kWide>(v));
  });
}

template <typename T, int kWide, int kPieces>
__global__ void __launch_bounds__(kMaxBackwardThreads, 1)
    SoftmaxBackwardKernel(const T* __restrict__ dy, const T* __restrict__ y,
                          T* __restrict__ dx, long long rows, int count) {
  const long long r = blockIdx.x * (long long)blockDim.y + threadIdx.y;
  const long long at = r * count * kWide;
  const int mine = r < rows ? count : 0;
  const Row<T, kWide, kPieces> d(dy + at, mine), q(y + at, mine);
  float dot[1] = {0.0f};
  ForEachPiece<kPieces>(mine, [&](int p, int i) {
    const Values<kWide> a = d.Get(p, i), b = q.Get(p, i);
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      dot[0] = __fmaf_rn(a.v[j], b.v[j], dot[0]);
    }
  });
  GroupReduce<SumOf>(dot);
  ForEachPiece<kPieces>(mine, [&](int p, int i) {
    Values<kWide> a = d.Get(p, i);
    const Values<kWide> b = q.Get(p, i);
#pragma unroll
    for (int j = 0; j < kWide; ++j) a.v[j] = b.v[j] * (a.v[j] - dot[0]);
    StorePiece<T, kWide>(dx + at + i * kWide, Pack<T, kWide>(a));
  });
}

}  // namespace

cudaError_t LaunchSoftmaxForward(Type type, const void* x, void* y,
                                 long long rows, long long width,
                                 cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* in = static_cast<const T*>(x);
    T* out = static_cast<T*>(y);
    return DispatchRow<T>(
        width, Vectorised(in, width) && Vectorised(out, width), kMaxThreads,
        [&](auto layout) {
          using L = decltype(layout);
          const dim3 block = layout.Block(kBlock, kMaxThreads);
          const dim3 grid(BlocksFor(rows, static_cast<int>(block.y)));
          return Launch({grid, block, stream},
                        SoftmaxForwardKernel<T, L::kWide, L::kPieces>, in, out,
                        rows, layout.count);
        });
  });
}

cudaError_t LaunchSoftmaxBackward(Type type, const void* dy, const void* y,
                                  void* dx, long long rows, long long width,
                                  cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* gradient = static_cast<const T*>(dy);
    const T* in = static_cast<const T*>(y);
    T* out = static_cast<T*>(dx);
    const bool vectorised = Vectorised(gradient, width) &&
                            Vectorised(in, width) && Vectorised(out, width);
    return DispatchRow<T>(
        width, vectorised, kMaxBackwardThreads, [&](auto layout) {
          using L = decltype(layout);
          const dim3 block = layout.Block(kBlock, kMaxBackwardThreads);
          const dim3 grid(BlocksFor(rows, static_cast<int>(block.y)));
          return Launch({grid, block, stream},
                        SoftmaxBackwardKernel<T, L::kWide, L::kPieces>,
                        gradient, in, out, rows, layout.count);
        });
  });
}

}  // namespace eisbach::cuda
