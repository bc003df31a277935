#include "ops/reduce.h"

#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(ColumnSumSlot, ColumnSumKernel, "column_sum")
EISBACH_DEFINE_KERNEL(SumSlot, SumKernel, "sum")
EISBACH_DEFINE_KERNEL(CountNonFiniteSlot, CountNonFiniteKernel,
                      "count_non_finite")

namespace {

absl::Status SumPower(absl::string_view op, const Tensor& x, int power,
                      bool accumulate, const Tensor& out, Stream& stream) {
  const OpCheck check(op, stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("x", x, DType::kF32));
  EISBACH_RETURN_IF_ERROR(check.Dense("out", out, DType::kF64, Shape{1}));
  return SumSlot().Run(
      {.x = x, .power = power, .accumulate = accumulate, .out = out},
      {.flops = power * static_cast<double>(x.elements()),
       .bytes_read = static_cast<double>(x.bytes()),
       .bytes_written = 8},
      stream);
}

}  // namespace

absl::Status ColumnSum(const Tensor& x, bool accumulate, const Tensor& out,
                       Stream& stream) {
  const OpCheck check("column_sum", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.MinRank("x", x, 1));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("out", out, DType::kF32, Shape{x.dim(-1)}));
  const double out_bytes = static_cast<double>(out.bytes());
  return ColumnSumSlot().Run(
      {.x = x, .accumulate = accumulate, .out = out},
      {.flops = static_cast<double>(x.elements()),
       .bytes_read = x.bytes() + (accumulate ? out_bytes : 0.0),
       .bytes_written = out_bytes,
       .dtype = x.dtype()},
      stream);
}

absl::Status Sum(const Tensor& x, bool accumulate, const Tensor& out,
                 Stream& stream) {
  return SumPower("sum", x, 1, accumulate, out, stream);
}

absl::Status SumOfSquares(const Tensor& x, bool accumulate, const Tensor& out,
                          Stream& stream) {
  return SumPower("sum_of_squares", x, 2, accumulate, out, stream);
}

absl::Status CountNonFinite(const Tensor& x, const Tensor& out,
                            Stream& stream) {
  const OpCheck check("count_non_finite", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.Dense("out", out, DType::kI64, Shape{1}));
  return CountNonFiniteSlot().Run({.x = x, .out = out},
                                  {.flops = static_cast<double>(x.elements()),
                                   .bytes_read = static_cast<double>(x.bytes()),
                                   .bytes_written = 8},
                                  stream);
}

}  // namespace eisbach::ops
