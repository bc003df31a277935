#include "ops/cpu/convert.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/convert.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "ops/cpu/convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

void ToFloat(const void* from, DType dtype, int64_t n, float* to) {
  switch (dtype) {
    case DType::kBF16:
      return ConvertToFloat(static_cast<const BFloat16*>(from), n, to);
    case DType::kF16:
      return ConvertToFloat(static_cast<const Float16*>(from), n, to);
    default:
      return ConvertToFloat(static_cast<const float*>(from), n, to);
  }
}

void FromFloat(const float* from, int64_t n, DType dtype, void* to) {
  switch (dtype) {
    case DType::kBF16:
      return ConvertFromFloat(from, n, static_cast<BFloat16*>(to));
    case DType::kF16:
      return ConvertFromFloat(from, n, static_cast<Float16*>(to));
    default:
      return ConvertFromFloat(from, n, static_cast<float*>(to));
  }
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops::cpu {

HWY_EXPORT(ToFloat);
HWY_EXPORT(FromFloat);

void ToFloat(const void* from, DType dtype, int64_t n, float* to) {
  HWY_DYNAMIC_DISPATCH(ToFloat)(from, dtype, n, to);
}

void FromFloat(const float* from, int64_t n, DType dtype, void* to) {
  HWY_DYNAMIC_DISPATCH(FromFloat)(from, n, dtype, to);
}

}  // namespace eisbach::ops::cpu
#endif  // HWY_ONCE
