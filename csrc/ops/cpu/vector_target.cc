// Which instruction set our own kernels were chosen for, for `eisbach doctor`.

#include <string>

#include "core/components.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/vector_target.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

std::string VectorTarget() { return hwy::TargetName(HWY_TARGET); }

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops::cpu {
namespace {

HWY_EXPORT(VectorTarget);

[[maybe_unused]] const bool described =
    RegisterComponent("vectors", []() -> std::string {
      const std::string target = HWY_DYNAMIC_DISPATCH(VectorTarget)();
      return target == "AVX3" ? "AVX-512" : target;  // Highway's own name
    });

}  // namespace
}  // namespace eisbach::ops::cpu
#endif  // HWY_ONCE
