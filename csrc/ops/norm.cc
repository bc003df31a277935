#include "ops/norm.h"

#include "absl/strings/str_cat.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/norm_cost.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(NormForwardSlot, NormForwardKernel, "norm_forward")
EISBACH_DEFINE_KERNEL(NormalizeSlot, NormalizeKernel, "normalize")
EISBACH_DEFINE_KERNEL(NormBackwardSlot, NormBackwardKernel, "norm_backward")

namespace {

absl::Status CheckKind(absl::string_view op, NormKind kind, bool given,
                       absl::string_view name) {
  if (given == (kind == NormKind::kLayer)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op, ": ", kind == NormKind::kLayer ? "layer" : "rms",
                   " norm ", given ? "takes no " : "needs ", name));
}

// What forward saved of each row.
absl::Status CheckStatistics(const OpCheck& check, absl::string_view op,
                             NormKind kind, const Tensor* mean,
                             const Tensor& rstd, const Shape& rows) {
  EISBACH_RETURN_IF_ERROR(CheckKind(op, kind, mean != nullptr, "mean"));
  if (mean != nullptr) {
    EISBACH_RETURN_IF_ERROR(check.Dense("mean", *mean, DType::kF32, rows));
  }
  return check.Dense("rstd", rstd, DType::kF32, rows);
}

}  // namespace

absl::StatusOr<NormOutput> NormForward(NormKind kind, double eps,
                                       const Tensor& x, const Tensor* residual,
                                       const Tensor& weight, const Tensor* bias,
                                       Stream& stream) {
  constexpr absl::string_view kOp = "norm_forward";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(CheckFitsF32("norm_eps", eps, "model.norm_eps"));
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.MinRank("x", x, 1));
  const Shape width{x.dim(-1)};
  if (residual != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        check.Dense("residual", *residual, x.dtype(), x.shape()));
  }
  EISBACH_RETURN_IF_ERROR(check.Dense("weight", weight, x.dtype(), width));
  EISBACH_RETURN_IF_ERROR(CheckKind(kOp, kind, bias != nullptr, "bias"));
  if (bias != nullptr) {
    EISBACH_RETURN_IF_ERROR(check.Dense("bias", *bias, x.dtype(), width));
  }

  Device& device = stream.device();
  const Shape rows{LeadingElements(x.shape())};
  NormOutput out;
  if (residual == nullptr) {
    out.sum = x.Detach();
  } else {
    EISBACH_ASSIGN_OR_RETURN(out.sum,
                             Tensor::Empty(x.shape(), x.dtype(), device));
  }
  EISBACH_ASSIGN_OR_RETURN(out.y, Tensor::Empty(x.shape(), x.dtype(), device));
  EISBACH_ASSIGN_OR_RETURN(out.rstd, Tensor::Empty(rows, DType::kF32, device));
  if (kind == NormKind::kLayer) {
    EISBACH_ASSIGN_OR_RETURN(out.mean,
                             Tensor::Empty(rows, DType::kF32, device));
  }
  const NormForwardArgs args = {
      .kind = kind,
      .eps = static_cast<float>(eps),
      .x = x,
      .residual = residual,
      .weight = weight,
      .bias = bias,
      .sum = residual == nullptr ? nullptr : &out.sum,
      .y = out.y,
      .mean = kind == NormKind::kLayer ? &out.mean : nullptr,
      .rstd = out.rstd};
  EISBACH_RETURN_IF_ERROR(
      NormForwardSlot().Run(args, NormForwardCost(args), stream));
  return out;
}

absl::StatusOr<Tensor> Normalize(NormKind kind, const Tensor& sum,
                                 const Tensor& weight, const Tensor* bias,
                                 const Tensor* mean, const Tensor& rstd,
                                 Stream& stream) {
  constexpr absl::string_view kOp = "normalize";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("sum", sum));
  EISBACH_RETURN_IF_ERROR(check.MinRank("sum", sum, 1));
  const Shape width{sum.dim(-1)};
  const Shape rows{LeadingElements(sum.shape())};
  EISBACH_RETURN_IF_ERROR(check.Dense("weight", weight, sum.dtype(), width));
  EISBACH_RETURN_IF_ERROR(CheckKind(kOp, kind, bias != nullptr, "bias"));
  if (bias != nullptr) {
    EISBACH_RETURN_IF_ERROR(check.Dense("bias", *bias, sum.dtype(), width));
  }
  EISBACH_RETURN_IF_ERROR(CheckStatistics(check, kOp, kind, mean, rstd, rows));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(sum.shape(), sum.dtype(), stream.device()));
  const NormalizeArgs args = {.sum = sum,
                              .weight = weight,
                              .bias = bias,
                              .mean = mean,
                              .rstd = rstd,
                              .y = y,
                              .kind = kind};
  EISBACH_RETURN_IF_ERROR(
      NormalizeSlot().Run(args, NormalizeCost(args), stream));
  return y;
}

absl::StatusOr<Tensor> NormBackward(NormKind kind, const Tensor& dy,
                                    const Tensor* dsum, const Tensor& sum,
                                    const Tensor& weight, const Tensor* mean,
                                    const Tensor& rstd, bool accumulate,
                                    const Tensor& dweight, const Tensor* dbias,
                                    Stream& stream) {
  constexpr absl::string_view kOp = "norm_backward";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("sum", sum));
  EISBACH_RETURN_IF_ERROR(check.MinRank("sum", sum, 1));
  const Shape width{sum.dim(-1)};
  const Shape rows{LeadingElements(sum.shape())};
  EISBACH_RETURN_IF_ERROR(check.Dense("dy", dy, sum.dtype(), sum.shape()));
  if (dsum != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        check.Dense("dsum", *dsum, sum.dtype(), sum.shape()));
  }
  EISBACH_RETURN_IF_ERROR(check.Dense("weight", weight, sum.dtype(), width));
  EISBACH_RETURN_IF_ERROR(CheckStatistics(check, kOp, kind, mean, rstd, rows));
  EISBACH_RETURN_IF_ERROR(check.Dense("dweight", dweight, DType::kF32, width));
  EISBACH_RETURN_IF_ERROR(CheckKind(kOp, kind, dbias != nullptr, "dbias"));
  if (dbias != nullptr) {
    EISBACH_RETURN_IF_ERROR(check.Dense("dbias", *dbias, DType::kF32, width));
  }

  EISBACH_ASSIGN_OR_RETURN(
      Tensor dx, Tensor::Empty(sum.shape(), sum.dtype(), stream.device()));
  const NormBackwardArgs args = {.kind = kind,
                                 .dy = dy,
                                 .dsum = dsum,
                                 .sum = sum,
                                 .weight = weight,
                                 .mean = mean,
                                 .rstd = rstd,
                                 .accumulate = accumulate,
                                 .dweight = dweight,
                                 .dbias = dbias,
                                 .dx = dx};
  EISBACH_RETURN_IF_ERROR(
      NormBackwardSlot().Run(args, NormBackwardCost(args), stream));
  return dx;
}

}  // namespace eisbach::ops
