#include "ops/document_starts.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(DocumentPositionsSlot, DocumentPositionsKernel,
                      "document_positions")

absl::Status CheckStarts(absl::string_view op, const Tensor& starts,
                         const Shape& shape, Stream& stream) {
  const OpCheck check(op, stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("starts", starts, DType::kI32, shape));
  if (starts.device().type() != DeviceType::kCpu) return absl::OkStatus();
  const int32_t* start = starts.data<int32_t>();
  const int64_t length = starts.rank() == 0 ? 0 : starts.dim(-1);
  for (int64_t i = 0; i < starts.elements(); ++i) {
    const int64_t t = i % length;
    if (start[i] == t || (t > 0 && start[i] == start[i - 1])) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        op, ": starts[", i / length, ", ", t, "]=", start[i], " must be ", t,
        ", where a document begins",
        t == 0 ? "" : absl::StrCat(", or ", start[i - 1], ", where it goes on"),
        " (Batch.starts)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> DocumentPositions(const Tensor& starts, Stream& stream) {
  constexpr absl::string_view kOp = "document_positions";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("starts", starts, DType::kI32));
  EISBACH_RETURN_IF_ERROR(check.MinRank("starts", starts, 1));
  EISBACH_RETURN_IF_ERROR(CheckStarts(kOp, starts, starts.shape(), stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor positions,
      Tensor::Empty(starts.shape(), DType::kI32, stream.device()));
  const double bytes = static_cast<double>(starts.bytes());
  EISBACH_RETURN_IF_ERROR(DocumentPositionsSlot().Run(
      {.starts = starts, .positions = positions},
      {.flops = static_cast<double>(starts.elements()),
       .bytes_read = bytes,
       .bytes_written = bytes},
      stream));
  return positions;
}

absl::StatusOr<Tensor> RowPositions(const Shape& shape, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor starts,
                           Tensor::Zeros(shape, DType::kI32, stream));
  return DocumentPositions(starts, stream);
}

}  // namespace eisbach::ops
