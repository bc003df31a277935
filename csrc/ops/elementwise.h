#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// c = a + b, of one shape and float dtype, contiguous; c may be a or b.
struct AddArgs {
  const Tensor& a;
  const Tensor& b;
  const Tensor& c;
};
using AddKernel = KernelSlot<AddArgs>;
AddKernel& AddSlot();
absl::StatusOr<Tensor> Add(const Tensor& a, const Tensor& b, Stream& stream);
absl::Status AddInPlace(const Tensor& a, const Tensor& b, Stream& stream);

// x *= factor, in place, contiguous float.
struct ScaleArgs {
  const Tensor& x;
  float factor;
};
using ScaleKernel = KernelSlot<ScaleArgs>;
ScaleKernel& ScaleSlot();
absl::Status Scale(const Tensor& x, float factor, Stream& stream);

// to <- from with conversion (to nearest even between float dtypes; i32, i64,
// u8, u16 among each other). Any strides, equal shapes.
struct CopyArgs {
  const Tensor& from;
  const Tensor& to;
};
using CopyKernel = KernelSlot<CopyArgs>;
CopyKernel& CopySlot();
absl::Status Copy(const Tensor& from, const Tensor& to, Stream& stream);
absl::StatusOr<Tensor> Cast(const Tensor& x, DType dtype, Stream& stream);
// x itself where it is contiguous, else a contiguous copy.
absl::StatusOr<Tensor> Contiguous(const Tensor& x, Stream& stream);

}  // namespace eisbach::ops
