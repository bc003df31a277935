#include "ops/elementwise.h"

#include "device/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread

template <typename T>
void AddRange(const T* a, const T* b, T* c, int64_t begin, int64_t end) {
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    Store(hn::Add(Load(a + i, lanes), Load(b + i, lanes)), c + i, lanes);
  });
}

template <typename T>
void ScaleRange(T* x, float factor, int64_t begin, int64_t end) {
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    Store(hn::Mul(Load(x + i, lanes), Splat(factor)), x + i, lanes);
  });
}

}  // namespace

absl::Status Add(const AddArgs& args, Stream&) {
  return DispatchFloat(args.a.dtype(), "add", [&](auto type) {
    using T = decltype(type);
    const T* a = args.a.data<T>();
    const T* b = args.b.data<T>();
    T* c = args.c.data<T>();
    cpu::ParallelFor(
        args.a.elements(), kGrain,
        [&](int64_t begin, int64_t end) { AddRange(a, b, c, begin, end); });
    return absl::OkStatus();
  });
}

absl::Status Scale(const ScaleArgs& args, Stream&) {
  return DispatchFloat(args.x.dtype(), "scale", [&](auto type) {
    using T = decltype(type);
    T* x = args.x.data<T>();
    cpu::ParallelFor(args.x.elements(), kGrain,
                     [&](int64_t begin, int64_t end) {
                       ScaleRange(x, args.factor, begin, end);
                     });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(Add);
EISBACH_REGISTER_SIMD_KERNEL(Scale);
}  // namespace eisbach::ops
#endif
