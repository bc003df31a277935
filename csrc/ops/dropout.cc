#include "ops/dropout.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(DropoutSlot, DropoutKernel, "dropout")

namespace {

// How many samples the source must know.
absl::StatusOr<int64_t> SamplesOf(const Tensor& x,
                                  const DropoutSource& source) {
  if (source.positions == 0) return x.dim(0);
  const Tensor& index = source.sample_index;
  const int64_t samples = index.defined() ? index.elements() : 0;
  const int64_t rows = x.dim(0) * x.dim(1);
  if (source.positions < 0 || source.first_row < 0 ||
      source.first_row + rows > samples * source.positions) {
    return absl::InvalidArgumentError(
        absl::StrCat("dropout: x has ", rows, " rows from ", source.first_row,
                     " on of ", samples, " x ", source.positions));
  }
  return samples;
}

}  // namespace

absl::StatusOr<Tensor> Dropout(const Tensor& x, double p,
                               const DropoutSource& source, Stream& stream) {
  const OpCheck check("dropout", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  if (x.rank() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("dropout: x=", x.ToString(),
                     " must be [samples, positions, features]"));
  }
  if (!(p >= 0 && p <= kMostDropout)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dropout: p=", p, " is outside [0, 1 - 2^-24] (model.dropout)"));
  }
  if (source.first_feature < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dropout: first_feature=", source.first_feature, " is negative"));
  }
  EISBACH_RETURN_IF_ERROR(
      check.Dense("step", source.step, DType::kI64, Shape{1}));
  EISBACH_ASSIGN_OR_RETURN(const int64_t samples, SamplesOf(x, source));
  EISBACH_RETURN_IF_ERROR(check.Dense("sample_index", source.sample_index,
                                      DType::kI64, Shape{samples}));
  if (source.places.defined()) {
    const int64_t positions =
        source.positions == 0 ? x.dim(1) : source.positions;
    EISBACH_RETURN_IF_ERROR(check.Dense("places", source.places, DType::kI32,
                                        Shape{samples, positions}));
  }
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(x.shape(), x.dtype(), stream.device()));
  const double bytes = static_cast<double>(x.bytes());
  EISBACH_RETURN_IF_ERROR(
      DropoutSlot().Run({.x = x, .p = p, .source = source, .y = y},
                        {.flops = 2.0 * x.elements(),
                         .bytes_read = bytes,
                         .bytes_written = bytes,
                         .dtype = x.dtype()},
                        stream));
  return y;
}

}  // namespace eisbach::ops
