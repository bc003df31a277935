#include "ops/softmax.h"

#include "device/cpu/parallel_for.h"
#include "ops/op_check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/softmax.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/row_softmax-inl.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 4096;  // elements a thread

template <typename T>
void ForwardRow(const T* x, int64_t width, T* y) {
  const float max = RowMax(x, width);
  const VF m = Splat(max);
  const VF scale = Splat(1.0f / RowSumExp(x, width, max));
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF e = ExpKeepNaN(hn::Sub(Load(x + i, lanes), m));
    Store(hn::Mul(e, scale), y + i, lanes);
  });
}

template <typename T>
void BackwardRow(const T* dy, const T* y, int64_t width, T* dx) {
  const VF dot = Splat(SumVectors(width, [&](int64_t i, auto lanes) HWY_ATTR {
    return hn::Mul(Load(dy + i, lanes), Load(y + i, lanes));
  }));
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF d = hn::Sub(Load(dy + i, lanes), dot);
    Store(hn::Mul(Load(y + i, lanes), d), dx + i, lanes);
  });
}

}  // namespace

absl::Status SoftmaxForward(const SoftmaxForwardArgs& args, Stream&) {
  return DispatchFloat(args.x.dtype(), "softmax_forward", [&](auto type) {
    using T = decltype(type);
    const T* x = args.x.data<T>();
    T* y = args.y.data<T>();
    const int64_t width = args.x.dim(-1);
    cpu::ParallelFor(LeadingElements(args.x.shape()), kGrain / (width + 1) + 1,
                     [&](int64_t begin, int64_t end) {
                       for (int64_t r = begin; r < end; ++r) {
                         ForwardRow(x + r * width, width, y + r * width);
                       }
                     });
    return absl::OkStatus();
  });
}

absl::Status SoftmaxBackward(const SoftmaxBackwardArgs& args, Stream&) {
  return DispatchFloat(args.y.dtype(), "softmax_backward", [&](auto type) {
    using T = decltype(type);
    const T* dy = args.dy.data<T>();
    const T* y = args.y.data<T>();
    T* dx = args.dx.data<T>();
    const int64_t width = args.y.dim(-1);
    cpu::ParallelFor(LeadingElements(args.y.shape()), kGrain / (width + 1) + 1,
                     [&](int64_t begin, int64_t end) {
                       for (int64_t r = begin; r < end; ++r) {
                         const int64_t at = r * width;
                         BackwardRow(dy + at, y + at, width, dx + at);
                       }
                     });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(SoftmaxForward);
EISBACH_REGISTER_SIMD_KERNEL(SoftmaxBackward);
}  // namespace eisbach::ops
#endif
