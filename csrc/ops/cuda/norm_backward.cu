#include <algorithm>

#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/norm_kernels.h"
#include "ops/cuda/row.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;  // threads that small rows share
constexpr int kMaxThreads = 512;
constexpr int kBlocksEach = 2;  // at most, of a multiprocessor
constexpr int kMinRows = 8;     // of a block: partial sums stay few

// What a block adds to each column: in registers of the thread that has it,
// in `at` itself with kPieces = 0.
template <int kWide, int kPieces>
class ColumnSums {
 public:
  __device__ __forceinline__ ColumnSums(float* at, int) : at_(at) {}

  __device__ __forceinline__ void Add(int p, int, const Values<kWide>& x) {
#pragma unroll
    for (int j = 0; j < kWide; ++j) sums_[p].v[j] += x.v[j];
  }

  // Adds up the groups, in their order, through `shared` [width].
  __device__ __forceinline__ void Finish(float* shared, int count) {
    const unsigned last = blockDim.y - 1;
    for (unsigned group = 0; group <= last; ++group) {
      if (threadIdx.y == group) {
        ForEachPiece<kPieces>(count, [&](int p, int i) {
          if (group > 0) Add(p, i, LoadValues<kWide>(shared + i * kWide));
          StoreValues<kWide>((group == last ? at_ : shared) + i * kWide,
                             sums_[p]);
        });
      }
      if (last > 0) __syncthreads();
    }
  }

 private:
  float* at_;
  Values<kWide> sums_[kPieces] = {};
};

template <int kWide>
class ColumnSums<kWide, 0> {
 public:
  __device__ __forceinline__ ColumnSums(float* at, int count) : at_(at) {
    ForEachPiece<0>(count, [&](int, int i) {
      StoreValues<kWide>(at_ + i * kWide, Values<kWide>{});
    });
  }
  __device__ __forceinline__ void Add(int, int i, const Values<kWide>& x) {
    Values<kWide> sum = LoadValues<kWide>(at_ + i * kWide);
#pragma unroll
    for (int j = 0; j < kWide; ++j) sum.v[j] += x.v[j];
    StoreValues<kWide>(at_ + i * kWide, sum);
  }
  __device__ __forceinline__ void Finish(float*, int) {}

 private:
  float* at_;
};

// With g = dy * weight and h = (sum - mean) * rstd:
//   dx = rstd * (g - mean(g) - h mean(g h)) + dsum, without mean(g) for RMS.
// A group takes the rows that lie a grid apart.
template <typename T, int kWide, int kPieces, bool kLayer>
__global__ void __launch_bounds__(kMaxThreads, 1)
    NormBackwardKernel(const T* __restrict__ dy, const T* __restrict__ dsum,
                       const T* __restrict__ sum, const T* __restrict__ weight,
                       const float* __restrict__ mean,
                       const float* __restrict__ rstd, T* __restrict__ dx,
                       float* partial, float shift, long long rows,
                       long long inner, long long stride, int count) {
  EISBACH_DYNAMIC_SHARED(float, shared);
  const long long width = (long long)count * kWide;
  float* const dweights = partial + blockIdx.x * width;
  ColumnSums<kWide, kPieces> dweight(dweights, count);
  ColumnSums<kWide, kLayer ? kPieces : 1> dbias(dweights + gridDim.x * width,
                                                kLayer ? count : 0);
  const float n = static_cast<float>(count) * kWide;
  const long long step = (long long)gridDim.x * blockDim.y;
#pragma unroll 1
  for (long long first = (long long)blockIdx.x * blockDim.y; first < rows;
       first += step) {
    const long long r = first + threadIdx.y;
    const long long at = RowStart(r, width, inner, stride);
    // A group without a row only meets the others at barriers.
    const int mine = r < rows ? count : 0;
    const Row<T, kWide, kPieces> d(dy + at, mine), x(sum + at, mine);
    const float center = kLayer && mine > 0 ? mean[r] : 0.0f;
    const float scale = mine > 0 ? rstd[r] : 0.0f;
    float means[2] = {0.0f, 0.0f};  // of g h and of g
    ForEachPiece<kPieces>(mine, [&](int p, int i) {
      const Values<kWide> dyv = d.Get(p, i), xv = x.Get(p, i);
      const auto w = Unpack<T, kWide>(LoadPiece<T, kWide>(weight + i * kWide));
      Values<kWide> dh;
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        dh.v[j] = dyv.v[j] * ((xv.v[j] - center) * scale);
        means[0] = __fmaf_rn(dh.v[j], w.v[j] + shift, means[0]);
        if (kLayer) means[1] = __fmaf_rn(dyv.v[j], w.v[j] + shift, means[1]);
      }
      dweight.Add(p, i, dh);
      if constexpr (kLayer) dbias.Add(p, i, dyv);
    });
    if constexpr (kLayer) {
      GroupReduce<SumOf>(means);
    } else {
      float one[1] = {means[0]};
      GroupReduce<SumOf>(one);
      means[0] = one[0];
    }
    const float projection = means[0] / n, offset = means[1] / n;
    ForEachPiece<kPieces>(mine, [&](int p, int i) {
      Values<kWide> v = d.Get(p, i);
      const Values<kWide> xv = x.Get(p, i);
      const auto w = Unpack<T, kWide>(LoadPiece<T, kWide>(weight + i * kWide));
      Values<kWide> past{};
      if (dsum != nullptr) {
        past = Unpack<T, kWide>(LoadPiece<T, kWide>(dsum + at + i * kWide));
      }
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        const float h = (xv.v[j] - center) * scale;
        const float g = v.v[j] * (w.v[j] + shift) - offset;
        v.v[j] = __fmaf_rn(scale, g - h * projection, past.v[j]);
      }
      StorePiece<T, kWide>(dx + at + i * kWide, Pack<T, kWide>(v));
    });
  }
  dweight.Finish(shared, count);
  if constexpr (kLayer) dbias.Finish(shared, count);
}

template <typename T, typename F>
auto WithLayout(const NormGradients& g, F&& f) {
  bool vectorised = true;
  for (const void* p :
       {g.dy, g.dsum, g.sum, g.weight, static_cast<const void*>(g.dx)}) {
    vectorised = vectorised && Vectorised(static_cast<const T*>(p), g.width);
  }
  vectorised = vectorised && g.stride % kPerVector<T> == 0;
  return DispatchRow<T>(g.width, vectorised, kMaxThreads, f);
}

}  // namespace

int NormBackwardBlocks(const NormGradients& g, int multiprocessors) {
  const long long wanted = (g.rows + kMinRows - 1) / kMinRows;
  const long long most = (long long)kBlocksEach * multiprocessors;
  return static_cast<int>(std::max(1LL, std::min(wanted, most)));
}

cudaError_t LaunchNormBackward(const NormGradients& g, int blocks,
                               float* partial, cudaStream_t stream) {
  return Dispatch(g.type, [&](auto zero) {
    using T = decltype(zero);
    return WithLayout<T>(g, [&](auto layout) {
      using L = decltype(layout);
      const auto start = [&](auto kernel) {
        const dim3 block = layout.Block(kBlock, kMaxThreads);
        const unsigned shared =
            block.y > 1 ? static_cast<unsigned>(g.width * sizeof(float)) : 0;
        return Launch(
            {dim3(static_cast<unsigned>(blocks)), block, stream, shared},
            kernel, static_cast<const T*>(g.dy), static_cast<const T*>(g.dsum),
            static_cast<const T*>(g.sum), static_cast<const T*>(g.weight),
            g.mean, g.rstd, static_cast<T*>(g.dx), partial, g.shift, g.rows,
            g.inner, g.stride, layout.count);
      };
      return g.layer
                 ? start(NormBackwardKernel<T, L::kWide, L::kPieces, true>)
                 : start(NormBackwardKernel<T, L::kWide, L::kPieces, false>);
    });
  });
}

}  // namespace eisbach::cuda
