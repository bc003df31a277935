#include "ops/cuda/cross_entropy_kernels.h"
#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/exp.cuh"
#include "ops/cuda/pieces.cuh"
#include "ops/cuda/reduce.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kStatsBlock = 1024;
constexpr int kBlock = 256;
constexpr int kUnroll = 4;  // pieces that a thread has in flight

// What is subtracted before the exponential: the maximum, but 0 where nothing
// is finite yet, as -inf - -inf is NaN.
__device__ __forceinline__ float Base(float max) {
  return max == -INFINITY ? 0.0f : max;
}

// The maximum m, the sum of e^(x - m) and that of x of what a thread has seen.
struct Online {
  float max = -INFINITY;
  float sum = 0.0f;
  float total = 0.0f;

  template <typename T, int kCount>
  __device__ __forceinline__ void Take(const float (&x)[kCount]) {
    float top = max;
#pragma unroll
    for (int j = 0; j < kCount; ++j) top = fmaxf(top, x[j]);
    const float base = Base(top);
    sum *= ExpFor<T>(max - base);
#pragma unroll
    for (int j = 0; j < kCount; ++j) sum += ExpFor<T>(x[j] - base);
#pragma unroll
    for (int j = 0; j < kCount; ++j) total += x[j];
    max = top;
  }
};

// A block a row, in one pass.
template <typename T, int N>
__global__ void __launch_bounds__(kStatsBlock)
    StatsKernel(const T* logits, const int* targets, LossShape shape,
                float* stats, int width) {
  const long long row = blockIdx.x;
  const T* x = logits + row * shape.width;
  const long long pieces = shape.valid / N;
  const unsigned threads = blockDim.x;
  Online online;
  long long i = threadIdx.x;
  for (; i + (kUnroll - 1) * threads < pieces; i += kUnroll * threads) {
    float v[kUnroll * N];
#pragma unroll
    for (int k = 0; k < kUnroll; ++k) {
      const Values<N> piece = LoadPiece<N>(x + (i + k * threads) * N);
#pragma unroll
      for (int j = 0; j < N; ++j) v[k * N + j] = piece.v[j];
    }
    online.Take<T>(v);
  }
  for (; i < pieces; i += threads) {
    online.Take<T>(LoadPiece<N>(x + i * N).v);
  }
  const long long left = pieces * N + threadIdx.x;
  if (left < shape.valid) online.Take<T>(LoadPiece<1>(x + left).v);

  const float max = BlockReduce<MaxOf>(online.max);
  const float sum =
      BlockReduce<SumOf>(online.sum * ExpFor<float>(online.max - Base(max)));
  const float total = width == 4 ? BlockReduce<SumOf>(online.total) : 0.0f;
  if (threadIdx.x != 0) return;
  const long long target = targets[row] - shape.first_column;
  const bool here = target >= 0 && target < shape.valid;
  stats[row * width] = max;
  stats[row * width + 1] = sum;
  stats[row * width + 2] = here ? ToFloat(x[target]) : 0.0f;
  if (width == 4) stats[row * width + 3] = total;
}

// In double: the loss of a confident prediction is the small difference of two
// large numbers.
__global__ void __launch_bounds__(kBlock)
    CombineKernel(const float* stats, long long ranks, long long tokens,
                  int width, const int* targets, LossTerms terms,
                  LossOutput out) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  const long long target = i < tokens ? targets[i] : -1;
  if (out.counted != nullptr) {
    const float here = BlockReduce<SumOf>(target >= 0 ? 1.0f : 0.0f);
    // Whole numbers: their sum does not depend on the order.
    if (threadIdx.x == 0) atomicAdd(out.counted, static_cast<double>(here));
  }
  if (i >= tokens) return;
  if (target < 0) {
    out.lse[i] = INFINITY;
    out.loss[i] = 0.0f;
    if (out.added != nullptr) out.added[i] = out.added[tokens + i] = 0.0f;
    return;
  }
  if (target >= terms.vocab) {
    out.lse[i] = out.loss[i] = NAN;
    if (out.added != nullptr) out.added[i] = out.added[tokens + i] = NAN;
    return;
  }
  float max = -INFINITY;
  for (long long r = 0; r < ranks; ++r) {
    const float m = stats[(r * tokens + i) * width];
    if (m > max || m != m) max = m;
  }
  double sum = 0, target_logit = 0, logits = 0;
  for (long long r = 0; r < ranks; ++r) {
    const float* s = stats + (r * tokens + i) * width;
    const double factor =
        s[0] == max ? 1.0 : exp(static_cast<double>(s[0]) - max);
    sum += factor * s[1];
    target_logit += s[2];
    if (width == 4) logits += s[3];
  }
  const double log_sum = log(sum);
  const double z = max + log_sum;
  out.lse[i] = static_cast<float>(z);
  out.loss[i] = static_cast<float>((max - target_logit) + log_sum);
  if (out.added == nullptr) return;
  const double mean = logits / static_cast<double>(terms.vocab);
  out.added[i] = static_cast<float>(terms.z_loss * z * z);
  out.added[tokens + i] =
      static_cast<float>(terms.label_smoothing * (target_logit - mean));
}

// The last rows come first: the forward pass has left them in the cache.
template <typename T, int N>
__global__ void __launch_bounds__(kBlock)
    BackwardKernel(T* logits, const int* targets, const float* lse,
                   LossShape shape, float scale, const float* factor,
                   const float* weights, LossTerms terms,
                   unsigned blocks_a_row) {
  const long long row = shape.rows - 1 - blockIdx.x / blocks_a_row;
  const long long first =
      (long long)(blockIdx.x % blocks_a_row) * (kBlock * kUnroll) + threadIdx.x;
  T* x = logits + row * shape.width;
  const long long target = targets[row] - shape.first_column;
  const float l = lse[row];
  // Of a masked row lse is infinite.
  const bool masked = targets[row] < 0;
  const float push = masked ? 1.0f : 1.0f + 2.0f * terms.z_loss * l;
  const float pull =
      masked ? 0.0f : terms.label_smoothing / static_cast<float>(terms.vocab);
  if (factor != nullptr) scale *= *factor;
  if (weights != nullptr) scale *= weights[row];
  Values<N> pieces[kUnroll] = {};
#pragma unroll
  for (int k = 0; k < kUnroll; ++k) {
    const long long at = (first + k * kBlock) * N;
    if (at < shape.valid) pieces[k] = LoadPiece<N>(x + at);
  }
#pragma unroll
  for (int k = 0; k < kUnroll; ++k) {
    const long long at = (first + k * kBlock) * N;
    if (at >= shape.width) break;
    Values<N>& piece = pieces[k];
    float old = 0.0f;
    const bool here = target >= at && target < at + N && target < shape.valid;
    const int target_at = here ? static_cast<int>(target - at) : N;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      old = j == target_at ? piece.v[j] : old;
      piece.v[j] = scale * __fmaf_rn(ExpFor<T>(piece.v[j] - l), push, -pull);
    }
    if (here) {
      // In f32: softmax - 1 is near 0 late in training.
      const float rest =
          (push - 1.0f) * expf(old - l) + (terms.label_smoothing - pull);
      const float gradient = scale * (expm1f(old - l) + rest);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        piece.v[j] = j == target_at ? gradient : piece.v[j];
      }
    }
    if (at + N > shape.valid) {
#pragma unroll
      for (int j = 0; j < N; ++j) {
        piece.v[j] = at + j < shape.valid ? piece.v[j] : 0.0f;
      }
    }
    StorePiece<N>(x + at, piece);
  }
}

// Threads of a row's block: enough for its pieces, by the shape alone.
unsigned StatsThreads(long long pieces) {
  const long long warps = (pieces + 32 * kUnroll - 1) / (32 * kUnroll);
  const long long threads = warps * 32;
  return static_cast<unsigned>(threads < 32            ? 32
                               : threads > kStatsBlock ? kStatsBlock
                                                       : threads);
}

}  // namespace

cudaError_t LaunchCrossEntropyStats(Type type, const void* logits,
                                    const int* targets, const LossShape& shape,
                                    float* stats, int width,
                                    cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(logits);
    return DispatchWidth<T>(Vectorised(x, shape.width), [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      return Launch({dim3(static_cast<unsigned>(shape.rows)),
                     dim3(StatsThreads(shape.valid / N)), stream},
                    StatsKernel<T, N>, x, targets, shape, stats, width);
    });
  });
}

cudaError_t LaunchCrossEntropyCombine(const float* stats, long long ranks,
                                      long long tokens, int width,
                                      const int* targets,
                                      const LossTerms& terms,
                                      const LossOutput& out,
                                      cudaStream_t stream) {
  return Launch({dim3(BlocksFor(tokens, kBlock)), dim3(kBlock), stream},
                CombineKernel, stats, ranks, tokens, width, targets, terms,
                out);
}

cudaError_t LaunchCrossEntropyBackward(
    Type type, void* logits, const int* targets, const float* lse,
    const LossShape& shape, float scale, const float* factor,
    const float* weights, const LossTerms& terms, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    T* x = static_cast<T*>(logits);
    return DispatchWidth<T>(Vectorised(x, shape.width), [&](auto wide) {
      constexpr int N = decltype(wide)::value;
      const unsigned a_row = BlocksFor(shape.width / N, kBlock * kUnroll);
      return Launch({dim3(static_cast<unsigned>(shape.rows * a_row)),
                     dim3(kBlock), stream},
                    BackwardKernel<T, N>, x, targets, lse, shape, scale, factor,
                    weights, terms, a_row);
    });
  });
}

}  // namespace eisbach::cuda
