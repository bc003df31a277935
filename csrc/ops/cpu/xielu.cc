#include "ops/xielu.h"

#include <algorithm>
#include <cmath>

#include "core/status_macros.h"
#include "device/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/xielu.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 4096;           // elements a thread
constexpr int64_t kSummedTogether = 4096;  // elements of a partial sum

// log(1 + e^x), and its slope.
inline float Softplus(float x) {
  return static_cast<float>(std::max(x, 0.0f) +
                            std::log1p(std::exp(-std::abs(double{x}))));
}
inline float SoftplusSlope(float x) {
  return static_cast<float>(1 / (1 + std::exp(-double{x})));
}

// What both slopes are of one layer.
struct Slopes {
  float positive;
  float negative;
};
template <typename T>
Slopes SlopesOf(const Tensor& alpha_p, const Tensor& alpha_n) {
  return {Softplus(static_cast<float>(*alpha_p.data<T>())),
          kXieluBeta + Softplus(static_cast<float>(*alpha_n.data<T>()))};
}

// expm1(v) - v and expm1(v) for v <= 0. Near 0 by the series, where e^v - 1 has
// few digits.
HWY_INLINE void Exponential(VF v, VF& curve, VF& slope) {
  VF q = Splat(1.0f / 40320);
  for (float c :
       {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 1.0f / 2}) {
    q = hn::MulAdd(q, v, Splat(c));
  }
  const VF near = hn::Mul(hn::Mul(v, v), q);
  const VF far = hn::Sub(ExpKeepNaN(v), Splat(1.0f));
  const auto is_near = hn::Gt(v, Splat(-0.5f));
  curve = hn::IfThenElse(is_near, near, hn::Sub(far, v));
  slope = hn::IfThenElse(is_near, hn::Add(near, v), far);
}

// expm1(min(x, eps)) - x, what n is multiplied by, and its slope.
HWY_INLINE VF NegativePart(VF x, VF& slope) {
  const VF eps = Splat(kXieluEps);
  const VF v = hn::IfThenElse(hn::Ge(x, eps), eps, x);  // NaN stays
  VF curve;
  Exponential(v, curve, slope);
  return hn::Add(curve, hn::Sub(v, x));
}

template <typename T>
void XieluForwardRange(const T* x, Slopes slopes, T* y, int64_t begin,
                       int64_t end) {
  const VF p = Splat(slopes.positive), n = Splat(slopes.negative);
  const VF beta = Splat(kXieluBeta);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF v = Load(x + i, lanes);
    VF slope;
    const VF negative = hn::MulAdd(NegativePart(v, slope), n, hn::Mul(beta, v));
    const VF positive = hn::Mul(v, hn::MulAdd(p, v, beta));
    const auto above = hn::Gt(v, hn::Zero(DF()));
    Store(hn::IfThenElse(above, positive, negative), y + i, lanes);
  });
}

// Sums over n elements of dy times what each slope is multiplied by.
template <typename T>
void XieluSums(const T* dy, const T* x, int64_t n, float* sums) {
  const VF zero = hn::Zero(DF());
  sums[0] = SumVectors(n, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF v = Load(x + i, lanes);
    const VF square = hn::Mul(v, v);
    return hn::Mul(Load(dy + i, lanes),
                   hn::IfThenElse(hn::Gt(v, zero), square, zero));
  });
  sums[1] = SumVectors(n, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF v = Load(x + i, lanes);
    VF slope;
    const VF part = NegativePart(v, slope);
    return hn::Mul(Load(dy + i, lanes),
                   hn::IfThenElse(hn::Gt(v, zero), zero, part));
  });
}

template <typename T>
void XieluBackwardRange(const T* dy, const T* x, Slopes slopes, T* dx,
                        int64_t begin, int64_t end) {
  const VF p = Splat(2 * slopes.positive), n = Splat(slopes.negative);
  const VF beta = Splat(kXieluBeta);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF v = Load(x + i, lanes);
    VF slope;
    NegativePart(v, slope);
    const VF derivative =
        hn::IfThenElse(hn::Gt(v, hn::Zero(DF())), hn::MulAdd(p, v, beta),
                       hn::MulAdd(slope, n, beta));
    Store(hn::Mul(Load(dy + i, lanes), derivative), dx + i, lanes);
  });
}

void Finish(const float* partial, int64_t blocks, float slope, bool accumulate,
            float* out) {
  double sum = 0;
  for (int64_t b = 0; b < blocks; ++b) sum += double{partial[2 * b]};
  const float value = static_cast<float>(sum * double{slope});
  *out = accumulate ? *out + value : value;
}

template <typename T>
void Backward(const XieluBackwardArgs& a, int64_t blocks, float* partial) {
  const Slopes slopes = SlopesOf<T>(a.alpha_p, a.alpha_n);
  const T* dy = a.dy.data<T>();
  const T* x = a.x.data<T>();
  T* dx = a.dx.data<T>();
  const int64_t elements = a.x.elements();
  cpu::ParallelFor(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * kSummedTogether;
      const int64_t last = std::min(elements, first + kSummedTogether);
      XieluSums(dy + first, x + first, last - first, partial + 2 * b);
      XieluBackwardRange(dy, x, slopes, dx, first, last);
    }
  });
  Finish(partial, blocks,
         SoftplusSlope(static_cast<float>(*a.alpha_p.data<T>())), a.accumulate,
         a.dalpha_p.data<float>());
  Finish(partial + 1, blocks,
         SoftplusSlope(static_cast<float>(*a.alpha_n.data<T>())), a.accumulate,
         a.dalpha_n.data<float>());
}

}  // namespace

absl::Status XieluForward(const XieluForwardArgs& a, Stream&) {
  return DispatchFloat(a.x.dtype(), "xielu_forward", [&](auto type) {
    using T = decltype(type);
    const Slopes slopes = SlopesOf<T>(a.alpha_p, a.alpha_n);
    const T* x = a.x.data<T>();
    T* y = a.y.data<T>();
    cpu::ParallelFor(a.x.elements(), kGrain, [&](int64_t begin, int64_t end) {
      XieluForwardRange(x, slopes, y, begin, end);
    });
    return absl::OkStatus();
  });
}

absl::Status XieluBackward(const XieluBackwardArgs& a, Stream& stream) {
  const int64_t blocks =
      (a.x.elements() + kSummedTogether - 1) / kSummedTogether;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      Tensor::Empty(Shape{blocks, 2}, DType::kF32, stream.device()));
  return DispatchFloat(a.x.dtype(), "xielu_backward", [&](auto type) {
    Backward<decltype(type)>(a, blocks, partial.data<float>());
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(XieluForward);
EISBACH_REGISTER_SIMD_KERNEL(XieluBackward);
}  // namespace eisbach::ops
#endif
