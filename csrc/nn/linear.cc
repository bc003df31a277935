#include "nn/linear.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/functions/linear.h"

namespace eisbach::nn {
namespace {

// Rows [from, from + count) of a piece as a slice that starts at `local_row`.
LogicalSlice MakeSlice(const LinearPiece& piece, int64_t from, int64_t count,
                       int64_t local_row, bool primary) {
  LogicalSlice slice;
  slice.shape = Shape{piece.rows.total};
  slice.start = Shape{piece.rows.start + from};
  slice.extent = Shape{count};
  slice.local_row = local_row;
  slice.primary = primary;
  slice.sum_over_tensor = piece.sum_over_tensor;
  return slice;
}

// The slices of the output rows, one-dimensional and without names; a piece
// whose last rows are another rank's to count falls into two.
void AddRowSlices(const LinearPiece& piece, int64_t local_row,
                  std::vector<LogicalSlice>& slices, absl::string_view suffix) {
  const auto add = [&](int64_t from, int64_t count, bool is_primary) {
    if (count == 0) return;
    slices.push_back(
        MakeSlice(piece, from, count, local_row + from, is_primary));
    slices.back().name = absl::StrCat(piece.name, suffix);
  };
  add(0, piece.foreign_rows, false);
  add(piece.foreign_rows, piece.rows.count - piece.foreign_rows, true);
}

ParamSpec WeightSpec(const LinearOptions& options) {
  ParamSpec spec;
  spec.name = absl::StrCat(options.name, ".weight");
  int64_t rows = 0;
  for (const LinearPiece& piece : options.pieces) {
    AddRowSlices(piece, rows, spec.slices, ".weight");
    rows += piece.rows.count;
  }
  for (LogicalSlice& slice : spec.slices) {
    slice.shape = Shape{slice.shape[0], options.columns.total};
    slice.start = Shape{slice.start[0], options.columns.start};
    slice.extent = Shape{slice.extent[0], options.columns.count};
  }
  spec.shape = Shape{rows, options.columns.count};
  spec.init = {Init::Kind::kNormal, options.stddev};
  spec.decay = true;
  return spec;
}

ParamSpec BiasSpec(const LinearOptions& options) {
  ParamSpec spec;
  spec.name = absl::StrCat(options.name, ".bias");
  int64_t rows = 0;
  for (const LinearPiece& piece : options.pieces) {
    AddRowSlices(piece, rows, spec.slices, ".bias");
    rows += piece.rows.count;
  }
  if (options.shared_bias) {
    for (LogicalSlice& slice : spec.slices) slice.primary = options.first;
  }
  spec.shape = Shape{rows};
  spec.init = {Init::Kind::kZeros};
  return spec;
}

}  // namespace

Linear::Linear(const LinearOptions& options)
    : weight_(WeightSpec(options)),
      add_bias_(!options.shared_bias || options.first) {
  if (options.bias) bias_ = std::make_unique<Parameter>(BiasSpec(options));
}

absl::StatusOr<Tensor> Linear::Forward(const Tensor& x,
                                       const ForwardContext& context) {
  return autograd::Linear(x, weight_, bias_.get(), add_bias_, context.stream);
}

void Linear::VisitParameters(const Visitor& visit) {
  visit(weight_);
  if (bias_ != nullptr) visit(*bias_);
}

LinearOptions PlainLinear(std::string name, int64_t inputs, int64_t outputs,
                          bool bias, float stddev) {
  LinearOptions options;
  options.pieces = {{name, Range::Whole(outputs)}};
  options.name = std::move(name);
  options.columns = Range::Whole(inputs);
  options.bias = bias;
  options.stddev = stddev;
  return options;
}

}  // namespace eisbach::nn
