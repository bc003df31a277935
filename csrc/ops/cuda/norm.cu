#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/norm_kernels.h"
#include "ops/cuda/row.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 128;  // threads that small rows share
constexpr int kMaxThreads = 1024;

// Forward, and with kAgain only y from mean and rstd, by the same operations.
// A row that is not held is read from `sum` after it was written there, so x is
// not __restrict__: its loads must not go through the read-only cache.
template <typename T, int kWide, int kPieces, bool kAgain>
__global__ void __launch_bounds__(kMaxThreads, 1)
    NormForwardKernel(const T* x, const T* __restrict__ residual,
                      const T* __restrict__ weight, const T* __restrict__ bias,
                      T* sum, T* __restrict__ y, float* mean, float* rstd,
                      float eps, float shift, long long rows, long long inner,
                      long long stride, int count) {
  const long long r = blockIdx.x * (long long)blockDim.y + threadIdx.y;
  const long long at = RowStart(r, (long long)count * kWide, inner, stride);
  // A group without a row only meets the others at barriers.
  const int mine = r < rows ? count : 0;
  Row<T, kWide, kPieces> row(x + at, mine);
  float center = 0.0f, scale = 0.0f;
  if constexpr (kAgain) {
    if (mine == 0) return;
    if (mean != nullptr) center = mean[r];
    scale = rstd[r];
  } else {
    if (residual != nullptr) {
      const Row<T, kWide, kPieces> other(residual + at, mine);
      ForEachPiece<kPieces>(mine, [&](int p, int i) {
        Values<kWide> v = row.Get(p, i);
        const Values<kWide> w = other.Get(p, i);
#pragma unroll
        for (int j = 0; j < kWide; ++j) v.v[j] += w.v[j];
        const Piece<T, kWide> rounded = Pack<T, kWide>(v);
        StorePiece<T, kWide>(sum + at + i * kWide, rounded);
        row.Set(p, rounded);
      });
      row.MoveTo(sum + at);
    }
    const float n = static_cast<float>(count) * kWide;
    if (mean != nullptr) {
      float total[1] = {0.0f};
      ForEachPiece<kPieces>(mine, [&](int p, int i) {
        const Values<kWide> v = row.Get(p, i);
#pragma unroll
        for (int j = 0; j < kWide; ++j) total[0] += v.v[j];
      });
      GroupReduce<SumOf>(total);
      center = total[0] / n;
    }
    float squares[1] = {0.0f};
    ForEachPiece<kPieces>(mine, [&](int p, int i) {
      const Values<kWide> v = row.Get(p, i);
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        const float d = v.v[j] - center;
        squares[0] = __fmaf_rn(d, d, squares[0]);
      }
    });
    GroupReduce<SumOf>(squares);
    scale = 1.0f / sqrtf(squares[0] / n + eps);
    if (mine > 0 && threadIdx.x == 0) {
      if (mean != nullptr) mean[r] = center;
      rstd[r] = scale;
    }
  }
  ForEachPiece<kPieces>(mine, [&](int p, int i) {
    Values<kWide> v = row.Get(p, i);
    const auto w = Unpack<T, kWide>(LoadPiece<T, kWide>(weight + i * kWide));
    Values<kWide> b{};
    if (bias != nullptr) {
      b = Unpack<T, kWide>(LoadPiece<T, kWide>(bias + i * kWide));
    }
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const float h = __fmul_rn(v.v[j] - center, scale);
      v.v[j] = __fmaf_rn(h, w.v[j] + shift, b.v[j]);
    }
    StorePiece<T, kWide>(y + at + i * kWide, Pack<T, kWide>(v));
  });
}

template <bool kAgain>
cudaError_t Forward(const NormOperands& o, float eps, cudaStream_t stream) {
  return Dispatch(o.type, [&](auto zero) {
    using T = decltype(zero);
    bool vectorised = true;
    for (const void* p :
         {o.x, o.residual, o.weight, o.bias, static_cast<const void*>(o.sum),
          static_cast<const void*>(o.y)}) {
      vectorised = vectorised && Vectorised(static_cast<const T*>(p), o.width);
    }
    vectorised = vectorised && o.stride % kPerVector<T> == 0;
    return DispatchRow<T>(o.width, vectorised, kMaxThreads, [&](auto layout) {
      using L = decltype(layout);
      const dim3 block = layout.Block(kBlock, kMaxThreads);
      return Launch(
          {dim3(BlocksFor(o.rows, static_cast<int>(block.y))), block, stream},
          NormForwardKernel<T, L::kWide, L::kPieces, kAgain>,
          static_cast<const T*>(o.x), static_cast<const T*>(o.residual),
          static_cast<const T*>(o.weight), static_cast<const T*>(o.bias),
          static_cast<T*>(o.sum), static_cast<T*>(o.y), o.mean, o.rstd, eps,
          o.shift, o.rows, o.inner, o.stride, layout.count);
    });
  });
}

}  // namespace

cudaError_t LaunchNormForward(const NormOperands& operands, float eps,
                              cudaStream_t stream) {
  return Forward<false>(operands, eps, stream);
}

cudaError_t LaunchNormalize(const NormOperands& operands, cudaStream_t stream) {
  return Forward<true>(operands, 0.0f, stream);
}

}  // namespace eisbach::cuda
