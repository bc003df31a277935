#include "nn/token_rows.h"

#include "absl/strings/str_cat.h"
#include "autograd/functions/linear.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace eisbach::nn {
namespace {

ParamSpec SpecOf(const TokenRowsOptions& options) {
  ParamSpec spec = WholeParam(
      absl::StrCat(options.table, ".rows.weight"),
      Shape{static_cast<int64_t>(options.ids.size()), options.hidden},
      {Init::Kind::kZeros}, /*decay=*/true);
  spec.role = AdapterRole::kFactor;
  spec.table = true;
  if (options.divided) {
    spec.slices[0].primary = options.first;
    spec.slices[0].sum_over_tensor = true;
  }
  return spec;
}

// Those of `ids` that are among `rows`, put together where they follow one
// another.
std::vector<autograd::TrainedRows::Run> RunsOf(const std::vector<int64_t>& ids,
                                               const Range& rows) {
  std::vector<autograd::TrainedRows::Run> runs;
  for (size_t i = 0; i < ids.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i);
    const int64_t table_row = ids[i] - rows.start;
    if (table_row < 0 || table_row >= rows.count) continue;
    if (!runs.empty() &&
        runs.back().table_row + runs.back().count == table_row) {
      ++runs.back().count;
    } else {
      runs.push_back({row, table_row, 1});
    }
  }
  return runs;
}

}  // namespace

TokenRows::TokenRows(const TokenRowsOptions& options)
    : weight_(SpecOf(options)),
      rows_{&weight_, RunsOf(options.ids, options.rows)} {}

absl::Status TokenRows::Merge(Parameter& table, Stream& stream) {
  if (table.divided()) {
    return absl::FailedPreconditionError(absl::StrCat(
        table.spec().name, " is divided among ", table.division().parts,
        " ranks, and adapters are merged in whole weights (parallel.zero=2)"));
  }
  EISBACH_RETURN_IF_ERROR(weight_.BeforeUse());
  EISBACH_RETURN_IF_ERROR(table.BeforeUse());
  if (table.data().dtype() != DType::kF32) {
    return absl::FailedPreconditionError(absl::StrCat(
        table.spec().name, " is kept in ", Name(table.data().dtype()),
        ", and adapters are merged in f32 (precision.compute)"));
  }
  for (const autograd::TrainedRows::Run& run : rows_.runs) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor from,
                             weight_.data().Narrow(0, run.row, run.count));
    EISBACH_ASSIGN_OR_RETURN(const Tensor to,
                             table.data().Narrow(0, run.table_row, run.count));
    EISBACH_RETURN_IF_ERROR(ops::Copy(from, to, stream));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Table::Multiply(const Tensor& x,
                                       const ForwardContext& context) const {
  Stream& stream = context.stream;
  const autograd::TrainedRows* trained = RowsIn(context);
  if (trained == nullptr) {
    return autograd::Linear(x, weight, nullptr, false, stream);
  }
  EISBACH_ASSIGN_OR_RETURN(autograd::RowsInPlace placed,
                           autograd::RowsInPlace::Put(trained, weight, stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, ops::LinearForward(x, weight.data(), nullptr, stream));
  EISBACH_RETURN_IF_ERROR(placed.TakeOut());
  return y;
}

}  // namespace eisbach::nn
