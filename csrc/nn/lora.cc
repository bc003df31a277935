#include "nn/lora.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/functions/low_rank.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace eisbach::nn {
namespace {

bool HasWholeInput(const LinearOptions& base) {
  return base.columns.count == base.columns.total;
}

ParamSpec SpecOfA(const LoraOptions& options) {
  const Range& columns = options.base.columns;
  ParamSpec spec;
  spec.name = absl::StrCat(options.base.name, ".lora_a.weight");
  int64_t rows = 0;
  for (const LoraTerm& term : options.terms) {
    LogicalSlice slice;
    slice.name = absl::StrCat(term.name, ".lora_a.weight");
    slice.shape = Shape{options.rank, columns.total};
    slice.start = Shape{0, columns.start};
    slice.extent = Shape{options.rank, columns.count};
    slice.local_row = rows;
    if (options.divided && HasWholeInput(options.base)) {
      slice.primary = options.first;
      slice.sum_over_tensor = true;
    }
    spec.slices.push_back(std::move(slice));
    rows += options.rank;
  }
  spec.shape = Shape{rows, columns.count};
  spec.init.kind = Init::Kind::kUniform;
  spec.init.bound = 1 / std::sqrt(static_cast<float>(columns.total));
  spec.decay = true;
  spec.role = AdapterRole::kFactor;
  return spec;
}

// The rows of the term's pieces, as the base divides them, and rank columns.
ParamSpec SpecOfB(const LoraOptions& options, const LoraTerm& term) {
  LinearOptions rows;
  rows.name = absl::StrCat(term.name, ".lora_b");
  rows.columns = Range::Whole(options.rank);
  rows.bias = false;
  for (int p = term.first_piece; p < term.first_piece + term.pieces; ++p) {
    LinearPiece piece = options.base.pieces[p];
    piece.name = absl::StrCat(piece.name, ".lora_b");
    rows.pieces.push_back(std::move(piece));
  }
  ParamSpec spec = Linear(rows).weight().spec();
  if (options.divided && !HasWholeInput(options.base)) {
    for (LogicalSlice& slice : spec.slices) {
      slice.primary = options.first;
      slice.sum_over_tensor = true;
    }
  }
  spec.init = {Init::Kind::kZeros};
  spec.role = AdapterRole::kFactor;
  return spec;
}

int64_t RowsBefore(const LinearOptions& base, int piece) {
  int64_t rows = 0;
  for (int p = 0; p < piece; ++p) rows += base.pieces[p].rows.count;
  return rows;
}

}  // namespace

Lora::Lora(const LoraOptions& options)
    : base_(options.base),
      a_(SpecOfA(options)),
      scale_(options.scale),
      dropout_(absl::StrCat(options.base.name, ".lora"), options.dropout,
               options.base.columns.start) {
  base_.VisitParameters([](Parameter& parameter) {
    parameter.mutable_spec().role = AdapterRole::kBase;
    parameter.mutable_spec().training = {.frozen = true};
  });
  for (const LoraTerm& term : options.terms) {
    outputs_.push_back({std::make_unique<Parameter>(SpecOfB(options, term)),
                        RowsBefore(options.base, term.first_piece)});
  }
}

absl::StatusOr<Tensor> Lora::Forward(const Tensor& x,
                                     const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor y, base_.Forward(x, context));
  if (!context.adapters) return y;
  autograd::LowRank low_rank{.a = &a_, .terms = {}, .scale = scale_};
  for (const Output& output : outputs_) {
    low_rank.terms.push_back({output.b.get(), output.first_row});
  }
  if (const auto source = dropout_.Source(context)) {
    low_rank.dropout = autograd::LowRankDropout{dropout_.p(), *source};
  }
  return autograd::AddLowRank(y, x, low_rank, context.stream);
}

void Lora::VisitParameters(const Visitor& visit) {
  base_.VisitParameters(visit);
  visit(a_);
  for (const Output& output : outputs_) visit(*output.b);
}

void Lora::VisitRandom(const NameVisitor& visit) {
  dropout_.VisitRandom(visit);
}

absl::Status Lora::Merge(Stream& stream) {
  if (base_.weight().divided()) {
    return absl::FailedPreconditionError(absl::StrCat(
        base_.weight().spec().name, " is divided among ",
        base_.weight().division().parts,
        " ranks, and adapters are merged in whole weights (parallel.zero=2)"));
  }
  EISBACH_RETURN_IF_ERROR(base_.weight().BeforeUse());
  const Tensor& weight = base_.weight().data();
  if (weight.dtype() != DType::kF32) {
    return absl::FailedPreconditionError(absl::StrCat(
        base_.weight().spec().name, " is kept in ", Name(weight.dtype()),
        ", and adapters are merged in f32 (precision.compute)"));
  }
  int64_t row = 0;  // of A
  for (const Output& output : outputs_) {
    EISBACH_RETURN_IF_ERROR(BeforeUse(a_, output.b.get()));
    const Tensor& b = output.b->data();
    EISBACH_ASSIGN_OR_RETURN(const Tensor a,
                             a_.data().Narrow(0, row, b.dim(1)));
    row += b.dim(1);
    EISBACH_ASSIGN_OR_RETURN(const Tensor rows,
                             weight.Narrow(0, output.first_row, b.dim(0)));
    EISBACH_RETURN_IF_ERROR(ops::Scale(b, scale_, stream));
    EISBACH_RETURN_IF_ERROR(
        ops::Matmul(b, a, nullptr, /*accumulate=*/true, rows, stream));
    EISBACH_RETURN_IF_ERROR(
        stream.device().SetZero(b.raw(), b.bytes(), stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::nn
