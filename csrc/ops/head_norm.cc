#include "ops/head_norm.h"

#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/norm.h"
#include "ops/norm_cost.h"
#include "ops/op_check.h"
#include "ops/rows.h"

namespace eisbach::ops {
namespace {

// The first as the weight's heads, the others as the first.
absl::Status CheckHeadRows(
    const OpCheck& check, const Tensor& weight,
    std::initializer_list<std::pair<absl::string_view, const Tensor*>>
        tensors) {
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("weight", weight));
  EISBACH_RETURN_IF_ERROR(
      check.SameShape("weight", weight, Shape{weight.elements()}));
  const Tensor& first = *tensors.begin()->second;
  for (const auto& [name, tensor] : tensors) {
    EISBACH_RETURN_IF_ERROR(
        check.EvenRows(name, *tensor, weight.dtype(), weight.dim(0)));
    EISBACH_RETURN_IF_ERROR(check.SameShape(name, *tensor, first.shape()));
    EISBACH_RETURN_IF_ERROR(check.SameStrides(name, *tensor, first));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Tensor> HeadNormForward(double eps, const Tensor& x,
                                       const Tensor& weight, const Tensor& y,
                                       Stream& stream, NormKind kind) {
  const OpCheck check("head_norm_forward", stream);
  EISBACH_RETURN_IF_ERROR(CheckFitsF32("norm_eps", eps, "model.norm_eps"));
  EISBACH_RETURN_IF_ERROR(CheckHeadRows(check, weight, {{"x", &x}, {"y", &y}}));
  EISBACH_ASSIGN_OR_RETURN(Tensor rstd,
                           Tensor::Empty(Shape{RowsOf(x, weight.dim(0)).count},
                                         DType::kF32, stream.device()));
  const NormForwardArgs args = {.kind = kind,
                                .eps = static_cast<float>(eps),
                                .x = x,
                                .residual = nullptr,
                                .weight = weight,
                                .bias = nullptr,
                                .sum = nullptr,
                                .y = y,
                                .mean = nullptr,
                                .rstd = rstd};
  EISBACH_RETURN_IF_ERROR(
      NormForwardSlot().Run(args, NormForwardCost(args), stream));
  return rstd;
}

absl::Status HeadNormBackward(const Tensor& dy, const Tensor& x,
                              const Tensor& weight, const Tensor& rstd,
                              bool accumulate, const Tensor& dweight,
                              const Tensor& dx, Stream& stream, NormKind kind) {
  const OpCheck check("head_norm_backward", stream);
  EISBACH_RETURN_IF_ERROR(
      CheckHeadRows(check, weight, {{"x", &x}, {"dy", &dy}, {"dx", &dx}}));
  EISBACH_RETURN_IF_ERROR(check.Dense("rstd", rstd, DType::kF32,
                                      Shape{RowsOf(x, weight.dim(0)).count}));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("dweight", dweight, DType::kF32, weight.shape()));
  const NormBackwardArgs args = {.kind = kind,
                                 .dy = dy,
                                 .dsum = nullptr,
                                 .sum = x,
                                 .weight = weight,
                                 .mean = nullptr,
                                 .rstd = rstd,
                                 .accumulate = accumulate,
                                 .dweight = dweight,
                                 .dbias = nullptr,
                                 .dx = dx};
  return NormBackwardSlot().Run(args, NormBackwardCost(args), stream);
}

}  // namespace eisbach::ops
