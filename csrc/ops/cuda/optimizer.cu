#include "ops/cuda/decay.cuh"
#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/optimizer_kernels.h"
#include "ops/cuda/rounding.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kWide = 4;  // elements of f32 in 16 bytes

// A range as `head` single elements, `vectors` groups of four whose f32 lie on
// 16-byte boundaries, and single elements up to n.
struct Cut {
  long long head;
  long long vectors;
  long long n;

  long long threads() const { return n - (kWide - 1) * vectors; }
};

// Where thread i works, as the first of four elements or as a single one; n
// and beyond for none.
__device__ __forceinline__ long long Place(const Cut& cut, long long i) {
  if (i < cut.vectors) return cut.head + i * kWide;
  const long long single = i - cut.vectors;
  return single < cut.head ? single : single + cut.vectors * kWide;
}

// Whether p[head] begins a group of four that is moved at once.
template <typename T>
bool Begins(const T* p, long long head) {
  return p == nullptr ||
         reinterpret_cast<uintptr_t>(p + head) % (kWide * sizeof(T)) == 0;
}

template <typename T>
Cut CutRange(const float* master, const float* grad, const float* m,
             const float* v, const T* data, long long n,
             const Rounding* rounding = nullptr) {
  for (long long head = 0; head < kWide && head < n; ++head) {
    // Four at once are of one group of random bits.
    if (rounding != nullptr && (rounding->first + head) % kWide != 0) continue;
    if (Begins(master, head) && Begins(grad, head) && Begins(m, head) &&
        Begins(v, head) && Begins(data, head)) {
      return {head, (n - head) / kWide, n};
    }
  }
  return {0, 0, n};
}

// Four elements, of 8 or 16 bytes.
template <typename T>
__device__ __forceinline__ void StoreFour(T* p, const Floats<float>& x) {
  if constexpr (sizeof(T) == sizeof(float)) {
    Store(p, x);
  } else {
    T values[kWide];
#pragma unroll
    for (int j = 0; j < kWide; ++j) values[j] = FromFloat<T>(x.v[j]);
    uint2 word;
    memcpy(&word, values, sizeof(word));
    AsWord<uint2>(p) = word;
  }
}

struct AdamWStep {
  float factor;
  ops::Decay beta1, beta2;
  float step, unbias2, eps, decay;
};

__device__ __forceinline__ AdamWStep MakeStep(const StepState& state,
                                              const AdamWFactors& f) {
  const float rate = state.learning_rate * f.rate_factor;
  return {state.gradient_factor,
          f.beta1,
          f.beta2,
          rate / state.bias_correction1,
          1.0f / state.bias_correction2,
          f.eps,
          rate * f.weight_decay};
}

// Written so that nothing is left to fuse: single elements and those in groups
// of four get the same bits.
__device__ __forceinline__ void AdamWElement(const AdamWStep& s, float grad,
                                             float& master, float& m,
                                             float& v) {
  const float g = grad * s.factor;
  m = Decayed(s.beta1, m, s.beta1.rest * g);
  v = Decayed(s.beta2, v, s.beta2.rest * (g * g));
  const float root = sqrtf(v * s.unbias2) + s.eps;
  const float kept = __fmaf_rn(-s.decay, master, master);
  master = kept - s.step * m / root;
}

// Operands are on their way before the state is known.
template <typename T, bool kRandom>
__global__ void __launch_bounds__(kBlock)
    AdamWKernel(float* __restrict__ master, const float* __restrict__ grad,
                float* __restrict__ m, float* __restrict__ v,
                T* __restrict__ data, const StepState* __restrict__ state,
                AdamWFactors factors, Rounding rounding, Cut cut) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  const long long at = Place(cut, i);
  if (at >= cut.n) return;
  if (i < cut.vectors) {
    const Floats<float> g = Load(grad + at);
    Floats<float> w = Load(master + at), m4 = Load(m + at), v4 = Load(v + at);
    if (state->finite == 0.0f) return;
    const AdamWStep step = MakeStep(*state, factors);
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      AdamWElement(step, g.v[j], w.v[j], m4.v[j], v4.v[j]);
    }
    Store(m + at, m4);
    Store(v + at, v4);
    Store(master + at, w);
    if constexpr (kRandom) {
      StoreFourRounded(data, w.v, at, rounding);
    } else {
      if (data != nullptr) StoreFour(data + at, w);
    }
    return;
  }
  if (state->finite == 0.0f) return;
  float w = master[at], m1 = m[at], v1 = v[at];
  AdamWElement(MakeStep(*state, factors), grad[at], w, m1, v1);
  m[at] = m1;
  v[at] = v1;
  master[at] = w;
  if constexpr (kRandom) {
    StoreRounded(data, w, at, rounding);
  } else {
    if (data != nullptr) data[at] = FromFloat<T>(w);
  }
}

struct SgdStep {
  float rate, factor;
  ops::Decay momentum;
  float decay;
};

__device__ __forceinline__ void SgdElement(const SgdStep& s, float grad,
                                           float& master, float& m) {
  const float g = __fmaf_rn(s.decay, master, grad * s.factor);
  m = Decayed(s.momentum, m, g);
  master = __fmaf_rn(-s.rate, m, master);
}

template <typename T>
__global__ void __launch_bounds__(kBlock)
    SgdKernel(float* __restrict__ master, const float* __restrict__ grad,
              float* __restrict__ m, T* __restrict__ data,
              const StepState* __restrict__ state, ops::Decay momentum,
              float weight_decay, float rate_factor, Cut cut) {
  const long long i = blockIdx.x * (long long)kBlock + threadIdx.x;
  const long long at = Place(cut, i);
  if (at >= cut.n) return;
  if (i < cut.vectors) {
    const Floats<float> g = Load(grad + at);
    Floats<float> w = Load(master + at), m4{};
    if (m != nullptr) m4 = Load(m + at);
    if (state->finite == 0.0f) return;
    const SgdStep step = {state->learning_rate * rate_factor,
                          state->gradient_factor, momentum, weight_decay};
#pragma unroll
    for (int j = 0; j < kWide; ++j) SgdElement(step, g.v[j], w.v[j], m4.v[j]);
    if (m != nullptr) Store(m + at, m4);
    Store(master + at, w);
    if (data != nullptr) StoreFour(data + at, w);
    return;
  }
  if (state->finite == 0.0f) return;
  float w = master[at], m1 = m == nullptr ? 0.0f : m[at];
  SgdElement({state->learning_rate * rate_factor, state->gradient_factor,
              momentum, weight_decay},
             grad[at], w, m1);
  if (m != nullptr) m[at] = m1;
  master[at] = w;
  if (data != nullptr) data[at] = FromFloat<T>(w);
}

__global__ void ClipFactorKernel(double* norm_squared, float max_norm,
                                 const double* counted, double all,
                                 StepState* state) {
  const double tokens = counted == nullptr ? all : *counted;
  if (tokens == 0.0) {
    state->gradient_factor = 0.0f;
    state->finite = 0.0f;
    state->is_void = 1.0f;
    return;
  }
  const double mean = all / tokens;
  *norm_squared *= mean * mean;
  const double scale = state->loss_scale;
  const double norm = sqrt(*norm_squared) / scale;
  const bool finite = norm < INFINITY;  // NaN is not
  double factor = finite ? 1.0 : 0.0;
  if (finite && max_norm > 0.0f) {
    factor = min(1.0, static_cast<double>(max_norm) / (norm + 1e-6));
  }
  state->gradient_factor = static_cast<float>(mean * factor / scale);
  if (!finite) state->finite = 0.0f;
}

}  // namespace

cudaError_t LaunchAdamW(Type type, float* master, const float* grad, float* m,
                        float* v, void* data, const StepState* state,
                        const AdamWFactors& factors, const Rounding* rounding,
                        long long n, cudaStream_t stream) {
  const auto launch = [&](auto kernel, auto* copy) {
    const Cut cut = CutRange(master, grad, m, v, copy, n, rounding);
    return Launch(
        {dim3(BlocksFor(cut.threads(), kBlock)), dim3(kBlock), stream}, kernel,
        master, grad, m, v, copy, state, factors,
        rounding == nullptr ? Rounding{} : *rounding, cut);
  };
  if (rounding != nullptr) {
    return launch(AdamWKernel<BF16, true>, static_cast<BF16*>(data));
  }
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    return launch(AdamWKernel<T, false>, static_cast<T*>(data));
  });
}

cudaError_t LaunchSgd(Type type, float* master, const float* grad, float* m,
                      void* data, const StepState* state,
                      const ops::Decay& momentum, float weight_decay,
                      float rate_factor, long long n, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    T* copy = static_cast<T*>(data);
    const Cut cut = CutRange(master, grad, m, nullptr, copy, n);
    return Launch(
        {dim3(BlocksFor(cut.threads(), kBlock)), dim3(kBlock), stream},
        SgdKernel<T>, master, grad, m, copy, state, momentum, weight_decay,
        rate_factor, cut);
  });
}

cudaError_t LaunchClipFactor(double* norm_squared, float max_norm,
                             const double* counted, double all,
                             StepState* state, cudaStream_t stream) {
  return Launch({dim3(1), dim3(1), stream}, ClipFactorKernel, norm_squared,
                max_norm, counted, all, state);
}

}  // namespace eisbach::cuda
