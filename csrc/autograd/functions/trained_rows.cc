#include "autograd/functions/trained_rows.h"

#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/matmul.h"

namespace eisbach::autograd {
namespace {

absl::Status SetZero(const Tensor& x, Stream& stream) {
  return stream.device().SetZero(x.raw(), x.bytes(), stream);
}

}  // namespace

absl::StatusOr<RowsInPlace> RowsInPlace::Put(const TrainedRows* rows,
                                             Parameter& table, Stream& stream) {
  RowsInPlace placed(stream);
  if (rows == nullptr) return placed;
  EISBACH_RETURN_IF_ERROR(rows->weight->BeforeUse());
  EISBACH_RETURN_IF_ERROR(table.BeforeUse());
  for (const TrainedRows::Run& run : rows->runs) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor place,
                             table.data().Narrow(0, run.table_row, run.count));
    EISBACH_ASSIGN_OR_RETURN(const Tensor trained, rows->weight->data().Narrow(
                                                       0, run.row, run.count));
    EISBACH_ASSIGN_OR_RETURN(Tensor kept,
                             ops::Cast(place, place.dtype(), stream));
    placed.kept_.push_back({place, std::move(kept)});
    EISBACH_RETURN_IF_ERROR(ops::Copy(trained, place, stream));
  }
  return placed;
}

absl::Status RowsInPlace::TakeOut() {
  for (const Kept& kept : std::exchange(kept_, {})) {
    EISBACH_RETURN_IF_ERROR(ops::Copy(kept.rows, kept.place, *stream_));
  }
  return absl::OkStatus();
}

absl::Status AddEmbeddingGradient(const TrainedRows& rows, const Tensor& dy,
                                  const Tensor& ids, int64_t first_row,
                                  int64_t vocab, Stream& stream) {
  Parameter& weight = *rows.weight;
  EISBACH_RETURN_IF_ERROR(weight.BeforeGradient());
  if (!weight.accumulate()) {
    EISBACH_RETURN_IF_ERROR(SetZero(weight.grad(), stream));
  }
  for (const TrainedRows::Run& run : rows.runs) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor grad,
                             weight.grad().Narrow(0, run.row, run.count));
    EISBACH_RETURN_IF_ERROR(
        ops::EmbeddingBackward(dy, ids, first_row + run.table_row, vocab,
                               /*accumulate=*/true, grad, stream));
  }
  return absl::OkStatus();
}

absl::Status AddHeadGradient(const TrainedRows& rows, const Tensor& dlogits,
                             const Tensor& x, bool starts, Stream& stream) {
  Parameter& weight = *rows.weight;
  EISBACH_RETURN_IF_ERROR(weight.BeforeGradient());
  if (starts && !weight.accumulate()) {
    EISBACH_RETURN_IF_ERROR(SetZero(weight.grad(), stream));
  }
  for (const TrainedRows::Run& run : rows.runs) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor grad,
                             weight.grad().Narrow(0, run.row, run.count));
    EISBACH_ASSIGN_OR_RETURN(Tensor columns,
                             dlogits.Narrow(1, run.table_row, run.count));
    EISBACH_ASSIGN_OR_RETURN(columns, columns.Transpose(0, 1));
    EISBACH_RETURN_IF_ERROR(ops::Matmul(columns, x, nullptr,
                                        /*accumulate=*/true, grad, stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::autograd
