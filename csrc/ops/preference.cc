#include "ops/preference.h"

#include "absl/strings/str_cat.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(PairSumsSlot, PairSumsKernel, "pair_sums")
EISBACH_DEFINE_KERNEL(PreferenceSlot, PreferenceKernel, "preference")

absl::Status Validate(const PreferenceRule& rule) {
  if (!(rule.beta > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "beta=", rule.beta, " must be above 0 (dpo.beta); 0.1 is usual"));
  }
  EISBACH_RETURN_IF_ERROR(CheckFitsF32("beta", rule.beta, "dpo.beta"));
  const double smoothing = rule.label_smoothing;
  if (!(smoothing >= 0 && smoothing < 0.5)) {
    return absl::InvalidArgumentError(
        absl::StrCat("label_smoothing=", smoothing,
                     " is outside [0, 0.5) (dpo.label_smoothing)"));
  }
  if (rule.variant == PreferenceVariant::kIpo && smoothing != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("label_smoothing=", smoothing,
                     " has no meaning in the loss ipo (dpo.label_smoothing): "
                     "leave it out, or "
                     "say dpo.variant=sigmoid"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> PairSums(const Tensor& losses, const Tensor& targets,
                                const Tensor& starts, Stream& stream) {
  const OpCheck check("pair_sums", stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("targets", targets, DType::kI32));
  EISBACH_RETURN_IF_ERROR(check.MinRank("targets", targets, 2));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("starts", starts, DType::kI32, targets.shape()));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("losses", losses, DType::kF32, Shape{targets.elements()}));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor sums, Tensor::Empty(Shape{targets.dim(0), kPairSums}, DType::kF64,
                                 stream.device()));
  EISBACH_RETURN_IF_ERROR(PairSumsSlot().Run(
      {.losses = losses, .targets = targets, .starts = starts, .sums = sums},
      {.flops = static_cast<double>(losses.elements()),
       .bytes_read = static_cast<double>(losses.bytes() + targets.bytes() +
                                         starts.bytes()),
       .bytes_written = static_cast<double>(sums.bytes())},
      stream));
  return sums;
}

absl::StatusOr<PreferenceOutput> Preference(const PreferenceRule& rule,
                                            float scale, const Tensor& policy,
                                            const Tensor& reference,
                                            const Tensor& starts,
                                            const Tensor& totals,
                                            Stream& stream) {
  const OpCheck check("preference", stream);
  EISBACH_RETURN_IF_ERROR(Validate(rule));
  EISBACH_RETURN_IF_ERROR(check.Dense("starts", starts, DType::kI32));
  EISBACH_RETURN_IF_ERROR(check.MinRank("starts", starts, 2));
  const Shape pairs{starts.dim(0), kPairSums};
  EISBACH_RETURN_IF_ERROR(check.Dense("policy", policy, DType::kF64, pairs));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("reference", reference, DType::kF64, pairs));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("totals", totals, DType::kF64, Shape{kPreferenceTotals}));
  PreferenceOutput out;
  EISBACH_ASSIGN_OR_RETURN(
      out.loss, Tensor::Empty(Shape{1}, DType::kF64, stream.device()));
  EISBACH_ASSIGN_OR_RETURN(
      out.weights,
      Tensor::Empty(Shape{starts.elements()}, DType::kF32, stream.device()));
  EISBACH_RETURN_IF_ERROR(PreferenceSlot().Run(
      {.rule = rule,
       .scale = scale,
       .policy = policy,
       .reference = reference,
       .starts = starts,
       .loss = out.loss,
       .weights = out.weights,
       .totals = totals},
      {.flops = 20.0 * starts.dim(0),
       .bytes_read = static_cast<double>(policy.bytes() + reference.bytes() +
                                         starts.bytes()),
       .bytes_written = static_cast<double>(out.weights.bytes())},
      stream));
  return out;
}

}  // namespace eisbach::ops
