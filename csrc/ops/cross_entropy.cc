#include "ops/cross_entropy.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/ids.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(CrossEntropyStatsSlot, CrossEntropyStatsKernel,
                      "cross_entropy_stats")
EISBACH_DEFINE_KERNEL(CrossEntropyCombineSlot, CrossEntropyCombineKernel,
                      "cross_entropy_combine")
EISBACH_DEFINE_KERNEL(CrossEntropyBackwardSlot, CrossEntropyBackwardKernel,
                      "cross_entropy_backward")

namespace {

constexpr double kStatsFlops = 4;
constexpr double kLossBackwardFlops = 4;

absl::Status CheckLogits(absl::string_view op, const OpCheck& check,
                         const Tensor& logits, const Tensor& targets,
                         int64_t valid_columns) {
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("logits", logits));
  if (logits.rank() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": logits=", logits.ToString(),
                     " must have two dimensions, tokens and columns"));
  }
  if (valid_columns < 0 || valid_columns > logits.dim(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": valid_columns=", valid_columns, " is outside [0, ",
                     logits.dim(1), "]"));
  }
  return check.Dense("targets", targets, DType::kI32, Shape{logits.dim(0)});
}

}  // namespace

absl::Status Validate(const LossTerms& terms) {
  if (!(terms.z_loss >= 0 && std::isfinite(terms.z_loss))) {
    return absl::InvalidArgumentError(
        absl::StrCat("z_loss=", terms.z_loss,
                     " is no finite number of 0 or more (train.z_loss)"));
  }
  if (!(terms.label_smoothing >= 0 && terms.label_smoothing < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("label_smoothing=", terms.label_smoothing,
                     " is outside [0, 1) (train.label_smoothing)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> CrossEntropyStats(const Tensor& logits,
                                         const Tensor& targets,
                                         int64_t first_column,
                                         int64_t valid_columns, Stream& stream,
                                         bool with_sum) {
  constexpr absl::string_view kOp = "cross_entropy_stats";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(
      CheckLogits(kOp, check, logits, targets, valid_columns));
  EISBACH_ASSIGN_OR_RETURN(Tensor stats,
                           Tensor::Empty(Shape{logits.dim(0), with_sum ? 4 : 3},
                                         DType::kF32, stream.device()));
  const double read = static_cast<double>(logits.dim(0)) * valid_columns;
  EISBACH_RETURN_IF_ERROR(CrossEntropyStatsSlot().Run(
      {.logits = logits,
       .targets = targets,
       .first_column = first_column,
       .valid_columns = valid_columns,
       .stats = stats},
      {.flops = kStatsFlops * read,
       .bytes_read = read * SizeOf(logits.dtype()) + targets.bytes(),
       .bytes_written = static_cast<double>(stats.bytes()),
       .dtype = logits.dtype()},
      stream));
  return stats;
}

absl::StatusOr<CrossEntropyOutput> CrossEntropyCombine(
    const Tensor& stats, const Tensor& targets, int64_t vocab, Stream& stream,
    const Tensor* counted, const LossTerms& terms) {
  const OpCheck check("cross_entropy_combine", stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("stats", stats, DType::kF32));
  const int64_t width = terms.label_smoothing == 0 ? 3 : 4;
  if (stats.rank() != 3 || stats.dim(2) != width || stats.dim(0) < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("cross_entropy_combine: stats=", stats.ToString(),
                     " must be [ranks >= 1, tokens, ", width, "]"));
  }
  const Shape tokens{stats.dim(1)};
  EISBACH_RETURN_IF_ERROR(check.Dense("targets", targets, DType::kI32, tokens));
  if (counted != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        check.Dense("counted", *counted, DType::kF64, Shape{1}));
  }
  EISBACH_RETURN_IF_ERROR(CheckIds(IdKind::kTarget, targets, vocab));
  CrossEntropyOutput out;
  EISBACH_ASSIGN_OR_RETURN(out.lse,
                           Tensor::Empty(tokens, DType::kF32, stream.device()));
  EISBACH_ASSIGN_OR_RETURN(out.loss,
                           Tensor::Empty(tokens, DType::kF32, stream.device()));
  if (terms.any()) {
    EISBACH_ASSIGN_OR_RETURN(
        out.added,
        Tensor::Empty(Shape{2, tokens[0]}, DType::kF32, stream.device()));
  }
  const size_t added = terms.any() ? out.added.bytes() : 0;
  EISBACH_RETURN_IF_ERROR(CrossEntropyCombineSlot().Run(
      {.stats = stats,
       .targets = targets,
       .vocab = vocab,
       .counted = counted,
       .terms = terms,
       .lse = out.lse,
       .loss = out.loss,
       .added = terms.any() ? &out.added : nullptr},
      {.flops = 2.0 * stats.elements(),
       .bytes_read = static_cast<double>(stats.bytes() + targets.bytes()),
       .bytes_written =
           static_cast<double>(out.lse.bytes() + out.loss.bytes() + added)},
      stream));
  return out;
}

absl::Status CrossEntropyBackward(const Tensor& logits, const Tensor& targets,
                                  const Tensor& lse, int64_t first_column,
                                  int64_t valid_columns, float scale,
                                  Stream& stream, const Tensor* factor,
                                  const Tensor* weights, const LossTerms& terms,
                                  int64_t vocab) {
  constexpr absl::string_view kOp = "cross_entropy_backward";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(
      CheckLogits(kOp, check, logits, targets, valid_columns));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("lse", lse, DType::kF32, Shape{logits.dim(0)}));
  if (factor != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        check.Dense("factor", *factor, DType::kF32, Shape{1}));
  }
  if (weights != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        check.Dense("weights", *weights, DType::kF32, Shape{logits.dim(0)}));
  }
  const double read = static_cast<double>(logits.dim(0)) * valid_columns;
  return CrossEntropyBackwardSlot().Run(
      {.logits = logits,
       .targets = targets,
       .lse = lse,
       .first_column = first_column,
       .valid_columns = valid_columns,
       .scale = scale,
       .factor = factor,
       .weights = weights,
       .terms = terms,
       .vocab = vocab},
      {.flops = kLossBackwardFlops * read,
       .bytes_read = read * SizeOf(logits.dtype()) + targets.bytes() +
                     lse.bytes() + (factor == nullptr ? 0 : factor->bytes()) +
                     (weights == nullptr ? 0 : weights->bytes()),
       .bytes_written = static_cast<double>(logits.bytes()),
       .dtype = logits.dtype()},
      stream);
}

}  // namespace eisbach::ops
