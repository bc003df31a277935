#pragma once

#include "hwy/highway.h"
#include "ops/kernel_slot.h"

// Registers HWY_NAMESPACE::Op(const OpArgs&, Stream&), compiled once for each
// instruction set, as the cpu kernel of OpSlot(). Used inside HWY_ONCE.
#define EISBACH_REGISTER_SIMD_KERNEL(Op)                      \
  HWY_EXPORT(Op);                                             \
  static absl::Status Run##Op(const Op##Args& a, Stream& s) { \
    return HWY_DYNAMIC_DISPATCH(Op)(a, s);                    \
  }                                                           \
  EISBACH_REGISTER_KERNEL(Op##Slot, DeviceType::kCpu, &Run##Op)
