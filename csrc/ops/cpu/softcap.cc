#include "ops/softcap.h"

#include "device/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/softcap.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"
#include "ops/cpu/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 4096;  // elements a thread

template <typename T>
void SoftcapRange(T* x, float cap, int64_t begin, int64_t end) {
  const VF by = Splat(1.0f / cap), largest = Splat(cap);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF v = hn::Mul(Load(x + i, lanes), by);
    const VF e = ExpKeepNaN(hn::Mul(hn::Abs(v), Splat(-2.0f)));
    Store(hn::Mul(TanhBy(DF(), v, e), largest), x + i, lanes);
  });
}

template <typename T>
void SoftcapBackwardRange(T* dy, const T* y, float cap, int64_t begin,
                          int64_t end) {
  const VF by = Splat(1.0f / cap);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF bent = hn::Mul(Load(y + i, lanes), by);
    const VF slope = hn::NegMulAdd(bent, bent, Splat(1.0f));
    Store(hn::Mul(Load(dy + i, lanes), slope), dy + i, lanes);
  });
}

}  // namespace

absl::Status Softcap(const SoftcapArgs& args, Stream&) {
  return DispatchFloat(args.x.dtype(), "softcap", [&](auto type) {
    using T = decltype(type);
    T* x = args.x.data<T>();
    cpu::ParallelFor(args.x.elements(), kGrain,
                     [&](int64_t begin, int64_t end) {
                       SoftcapRange(x, args.cap, begin, end);
                     });
    return absl::OkStatus();
  });
}

absl::Status SoftcapBackward(const SoftcapBackwardArgs& args, Stream&) {
  return DispatchFloat(args.dy.dtype(), "softcap_backward", [&](auto type) {
    using T = decltype(type);
    T* dy = args.dy.data<T>();
    const T* y = args.y.data<T>();
    cpu::ParallelFor(args.dy.elements(), kGrain,
                     [&](int64_t begin, int64_t end) {
                       SoftcapBackwardRange(dy, y, args.cap, begin, end);
                     });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(Softcap);
EISBACH_REGISTER_SIMD_KERNEL(SoftcapBackward);
}  // namespace eisbach::ops
#endif
