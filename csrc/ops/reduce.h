#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Sums whose result does not depend on the thread count: fixed blocks, added
// in order.

// out (f32 [F]) = sum over rows of x [..., F]; overwritten, or added to when
// `accumulate`. A bias gradient.
struct ColumnSumArgs {
  const Tensor& x;
  bool accumulate;
  const Tensor& out;
};
using ColumnSumKernel = KernelSlot<ColumnSumArgs>;
ColumnSumKernel& ColumnSumSlot();
absl::Status ColumnSum(const Tensor& x, bool accumulate, const Tensor& out,
                       Stream& stream);

// out (f64 [1]) = sum of x^power over a contiguous f32 tensor, power 1 or 2, in
// f64; overwritten, or added to when `accumulate`.
struct SumArgs {
  const Tensor& x;
  int power;
  bool accumulate;
  const Tensor& out;
};
using SumKernel = KernelSlot<SumArgs>;
SumKernel& SumSlot();
absl::Status Sum(const Tensor& x, bool accumulate, const Tensor& out,
                 Stream& stream);
absl::Status SumOfSquares(const Tensor& x, bool accumulate, const Tensor& out,
                          Stream& stream);

// out (i64 [1]) = how many elements of x (any float dtype) are NaN or infinite.
struct CountNonFiniteArgs {
  const Tensor& x;
  const Tensor& out;
};
using CountNonFiniteKernel = KernelSlot<CountNonFiniteArgs>;
CountNonFiniteKernel& CountNonFiniteSlot();
absl::Status CountNonFinite(const Tensor& x, const Tensor& out, Stream& stream);

}  // namespace eisbach::ops
