#include "ops/activation.h"

#include "device/cpu/parallel_for.h"
#include "ops/op_check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/activation.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 4096;  // elements a thread

// gelu(x) = x logistic(z) with z = 2 sqrt(2/pi) (x + 0.044715 x^3): the tanh
// form without the cancellation of 1 + tanh at negative x.
constexpr float kLinear = 1.5957691216057308f;
constexpr float kCubic = 0.07135481282553f;

HWY_INLINE VF GeluArgument(VF x, VF x2) {
  return hn::Mul(x, hn::MulAdd(Splat(kCubic), x2, Splat(kLinear)));
}

template <typename T>
void GeluForwardRange(const T* x, T* y, int64_t begin, int64_t end) {
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF vx = Load(x + i, lanes);
    VF s, complement;
    Logistic(GeluArgument(vx, hn::Mul(vx, vx)), s, complement);
    Store(hn::Mul(vx, s), y + i, lanes);
  });
}

// gelu(x) and gelu'(x) = s + x s (1 - s) z'(x)
HWY_INLINE void GeluAndSlope(VF vx, VF& value, VF& derivative) {
  const VF x2 = hn::Mul(vx, vx);
  VF s, complement;
  Logistic(GeluArgument(vx, x2), s, complement);
  const VF slope = hn::MulAdd(Splat(3 * kCubic), x2, Splat(kLinear));
  const VF inner = hn::Mul(hn::Mul(s, complement), hn::Mul(vx, slope));
  // Far out s (1 - s) is 0 and the slope may overflow.
  const auto far = hn::Gt(hn::Abs(vx), Splat(1e4f));
  derivative = hn::IfThenElse(far, s, hn::Add(s, inner));
  value = hn::Mul(vx, s);
}

template <typename T>
void GeluBackwardRange(const T* dy, const T* x, T* dx, int64_t begin,
                       int64_t end) {
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    VF value, derivative;
    GeluAndSlope(Load(x + i, lanes), value, derivative);
    Store(hn::Mul(Load(dy + i, lanes), derivative), dx + i, lanes);
  });
}

template <typename T>
void SwigluForwardRow(const T* gate, const T* up, T* y, int64_t width) {
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF g = Load(gate + i, lanes);
    VF s, complement;
    Logistic(g, s, complement);
    Store(hn::Mul(hn::Mul(g, s), Load(up + i, lanes)), y + i, lanes);
  });
}

// d gate = dy up s (1 + gate (1 - s)),  d up = dy gate s
template <typename T>
void SwigluBackwardRow(const T* dy, const T* gate, const T* up, T* dgate,
                       T* dup, int64_t width) {
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF g = Load(gate + i, lanes);
    const VF d = Load(dy + i, lanes);
    const VF u = Load(up + i, lanes);
    VF s, complement;
    Logistic(g, s, complement);
    const VF derivative = hn::Mul(s, hn::MulAdd(g, complement, Splat(1.0f)));
    Store(hn::Mul(hn::Mul(d, u), derivative), dgate + i, lanes);
    Store(hn::Mul(d, hn::Mul(g, s)), dup + i, lanes);
  });
}

template <typename T>
void GegluForwardRow(const T* gate, const T* up, T* y, int64_t width) {
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF g = Load(gate + i, lanes);
    VF s, complement;
    Logistic(GeluArgument(g, hn::Mul(g, g)), s, complement);
    Store(hn::Mul(hn::Mul(g, s), Load(up + i, lanes)), y + i, lanes);
  });
}

// d gate = dy up gelu'(gate),  d up = dy gelu(gate)
template <typename T>
void GegluBackwardRow(const T* dy, const T* gate, const T* up, T* dgate, T* dup,
                      int64_t width) {
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF d = Load(dy + i, lanes);
    const VF u = Load(up + i, lanes);
    VF value, derivative;
    GeluAndSlope(Load(gate + i, lanes), value, derivative);
    Store(hn::Mul(hn::Mul(d, u), derivative), dgate + i, lanes);
    Store(hn::Mul(d, value), dup + i, lanes);
  });
}

// Rows a thread such that it has about kGrain elements.
int64_t RowGrain(int64_t width) { return kGrain / (width + 1) + 1; }

}  // namespace

absl::Status GeluForward(const GeluForwardArgs& a, Stream&) {
  return DispatchFloat(a.x.dtype(), "gelu_forward", [&](auto type) {
    using T = decltype(type);
    const T* x = a.x.data<T>();
    T* y = a.y.data<T>();
    cpu::ParallelFor(a.x.elements(), kGrain, [&](int64_t begin, int64_t end) {
      GeluForwardRange(x, y, begin, end);
    });
    return absl::OkStatus();
  });
}

absl::Status GeluBackward(const GeluBackwardArgs& a, Stream&) {
  return DispatchFloat(a.x.dtype(), "gelu_backward", [&](auto type) {
    using T = decltype(type);
    const T* dy = a.dy.data<T>();
    const T* x = a.x.data<T>();
    T* dx = a.dx.data<T>();
    cpu::ParallelFor(a.x.elements(), kGrain, [&](int64_t begin, int64_t end) {
      GeluBackwardRange(dy, x, dx, begin, end);
    });
    return absl::OkStatus();
  });
}

absl::Status SwigluForward(const SwigluForwardArgs& a, Stream&) {
  return DispatchFloat(a.y.dtype(), "swiglu_forward", [&](auto type) {
    using T = decltype(type);
    const T* gate_up = a.gate_up.data<T>();
    T* y = a.y.data<T>();
    const int64_t width = a.y.dim(-1);
    cpu::ParallelFor(LeadingElements(a.y.shape()), RowGrain(width),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t r = begin; r < end; ++r) {
                         const T* gate = gate_up + r * 2 * width;
                         const auto row = a.gate == Gate::kGelu
                                              ? &GegluForwardRow<T>
                                              : &SwigluForwardRow<T>;
                         row(gate, gate + width, y + r * width, width);
                       }
                     });
    return absl::OkStatus();
  });
}

absl::Status SwigluBackward(const SwigluBackwardArgs& a, Stream&) {
  return DispatchFloat(a.dy.dtype(), "swiglu_backward", [&](auto type) {
    using T = decltype(type);
    const T* dy = a.dy.data<T>();
    const T* gate_up = a.gate_up.data<T>();
    T* dgate_up = a.dgate_up.data<T>();
    const int64_t width = a.dy.dim(-1);
    cpu::ParallelFor(LeadingElements(a.dy.shape()), RowGrain(width),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t r = begin; r < end; ++r) {
                         const T* gate = gate_up + r * 2 * width;
                         T* dgate = dgate_up + r * 2 * width;
                         const auto row = a.gate == Gate::kGelu
                                              ? &GegluBackwardRow<T>
                                              : &SwigluBackwardRow<T>;
                         row(dy + r * width, gate, gate + width, dgate,
                             dgate + width, width);
                       }
                     });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(GeluForward);
EISBACH_REGISTER_SIMD_KERNEL(GeluBackward);
EISBACH_REGISTER_SIMD_KERNEL(SwigluForward);
EISBACH_REGISTER_SIMD_KERNEL(SwigluBackward);
}  // namespace eisbach::ops
#endif
