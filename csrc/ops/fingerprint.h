#pragma once

#include "absl/status/status.h"
#include "ops/fingerprint_bits.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// out (i64 [1]) = the sum over the elements of x (f32, bf16 or f16) of
// MixElement(their bits, their index), modulo 2^64; overwritten. The same on
// every backend, and another one where the bits of a single element are others;
// two tensors with more differences share it by a chance of 2^-32 at most.
struct FingerprintArgs {
  const Tensor& x;
  const Tensor& out;
};
using FingerprintKernel = KernelSlot<FingerprintArgs>;
FingerprintKernel& FingerprintSlot();
absl::Status Fingerprint(const Tensor& x, const Tensor& out, Stream& stream);

}  // namespace eisbach::ops
