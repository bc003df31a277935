#include "autograd/functions/low_rank.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/graph.h"
#include "autograd/saved.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace eisbach::autograd {
namespace {

// [..., F] as [rows, F].
absl::StatusOr<Tensor> RowsOf(const Tensor& x) {
  const int64_t width = x.dim(-1);
  int64_t rows = 1;
  for (int d = 0; d + 1 < x.rank(); ++d) rows *= x.dim(d);
  return x.View(Shape{rows, width});
}

int64_t RankOf(const LowRank& low_rank) {
  return low_rank.terms[0].b->spec().shape[1];
}

// The columns of a term in something as wide as y, and in what lies between a
// and b.
absl::StatusOr<Tensor> Outer(const Tensor& rows, const LowRankTerm& term) {
  return rows.Narrow(1, term.first_column, term.b->spec().shape[0]);
}
absl::StatusOr<Tensor> Inner(const Tensor& rows, const LowRank& low_rank,
                             size_t term) {
  const int64_t rank = RankOf(low_rank);
  return rows.Narrow(1, static_cast<int64_t>(term) * rank, rank);
}

absl::StatusOr<Tensor> Dropped(const Tensor& x, const LowRank& low_rank,
                               Stream& stream) {
  if (!low_rank.dropout) return x;
  return ops::Dropout(x, low_rank.dropout->p, low_rank.dropout->source, stream);
}

// out += b^T of each term, or = where it is not f32, which cannot accumulate.
absl::Status MultiplyOut(const Tensor& inner, const LowRank& low_rank,
                         bool accumulate, const Tensor& out, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor inner_rows, RowsOf(inner));
  EISBACH_ASSIGN_OR_RETURN(const Tensor out_rows, RowsOf(out));
  for (size_t i = 0; i < low_rank.terms.size(); ++i) {
    const LowRankTerm& term = low_rank.terms[i];
    EISBACH_ASSIGN_OR_RETURN(const Tensor from, Inner(inner_rows, low_rank, i));
    EISBACH_ASSIGN_OR_RETURN(const Tensor to, Outer(out_rows, term));
    EISBACH_RETURN_IF_ERROR(term.b->BeforeUse());
    EISBACH_ASSIGN_OR_RETURN(const Tensor b_t, term.b->data().Transpose(0, 1));
    EISBACH_RETURN_IF_ERROR(
        ops::Matmul(from, b_t, nullptr, accumulate, to, stream));
  }
  return absl::OkStatus();
}

absl::Status AddTo(const Tensor& y, const Tensor& inner,
                   const LowRank& low_rank, Stream& stream) {
  if (y.dtype() == DType::kF32) {
    return MultiplyOut(inner, low_rank, /*accumulate=*/true, y, stream);
  }
  EISBACH_ASSIGN_OR_RETURN(const Tensor sum,
                           Tensor::Zeros(y.shape(), y.dtype(), stream));
  EISBACH_RETURN_IF_ERROR(
      MultiplyOut(inner, low_rank, /*accumulate=*/false, sum, stream));
  return ops::AddInPlace(y, sum, stream);
}

bool AnyTrains(const LowRank& low_rank) {
  return low_rank.a->trains() ||
         std::any_of(low_rank.terms.begin(), low_rank.terms.end(),
                     [](const LowRankTerm& t) { return t.b->trains(); });
}

// The gradient of `parameter`, dy^T · x.
absl::Status AddProduct(Parameter& parameter, const Tensor& dy, const Tensor& x,
                        Stream& stream) {
  EISBACH_RETURN_IF_ERROR(parameter.BeforeGradient());
  EISBACH_ASSIGN_OR_RETURN(const Tensor dy_t, dy.Transpose(0, 1));
  EISBACH_RETURN_IF_ERROR(ops::Matmul(dy_t, x, nullptr, parameter.accumulate(),
                                      parameter.grad(), stream));
  return parameter.GradientWritten();
}

class LowRankNode final : public Node {
 public:
  LowRankNode(const Tensor& x, Tensor inner, LowRank low_rank)
      : x_(low_rank.a->trains() ? Saved(x) : Saved()),
        inner_(std::move(inner)),
        low_rank_(std::move(low_rank)) {}

  absl::string_view name() const override { return low_rank_.a->spec().name; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    const Tensor dy = std::move(grads[0]);
    EISBACH_RETURN_IF_ERROR(Send(0, dy, context.stream));
    EISBACH_RETURN_IF_ERROR(BackwardB(dy, context));
    if (!low_rank_.a->trains() && !Wants(1)) return absl::OkStatus();
    EISBACH_ASSIGN_OR_RETURN(const Tensor inner_grad,
                             InnerGradient(dy, context.stream));
    if (Wants(1)) {
      if (low_rank_.a->trains()) {
        EISBACH_RETURN_IF_ERROR(x_.Begin(context.stream));
      }
      EISBACH_RETURN_IF_ERROR(low_rank_.a->BeforeUse());
      EISBACH_ASSIGN_OR_RETURN(
          Tensor dx, ops::LinearBackwardInput(inner_grad, low_rank_.a->data(),
                                              context.stream));
      EISBACH_ASSIGN_OR_RETURN(dx, Dropped(dx, low_rank_, context.stream));
      EISBACH_RETURN_IF_ERROR(Send(1, std::move(dx), context.stream));
    }
    return BackwardA(inner_grad, context);
  }

 private:
  absl::Status BackwardB(const Tensor& dy, BackwardContext& context) {
    return context.WeightGradient([dy, inner = inner_, low_rank = low_rank_](
                                      Stream& stream) -> absl::Status {
      EISBACH_ASSIGN_OR_RETURN(const Tensor dy_rows, RowsOf(dy));
      EISBACH_ASSIGN_OR_RETURN(const Tensor inner_rows, RowsOf(inner));
      for (size_t i = 0; i < low_rank.terms.size(); ++i) {
        const LowRankTerm& term = low_rank.terms[i];
        if (!term.b->trains()) continue;
        EISBACH_ASSIGN_OR_RETURN(const Tensor of_y, Outer(dy_rows, term));
        EISBACH_ASSIGN_OR_RETURN(const Tensor of_inner,
                                 Inner(inner_rows, low_rank, i));
        EISBACH_RETURN_IF_ERROR(AddProduct(*term.b, of_y, of_inner, stream));
      }
      return absl::OkStatus();
    });
  }

  absl::Status BackwardA(const Tensor& inner_grad, BackwardContext& context) {
    if (!low_rank_.a->trains()) return absl::OkStatus();
    EISBACH_ASSIGN_OR_RETURN(Tensor x, x_.Get(context.stream));
    return context.WeightGradient(
        [inner_grad, x = std::move(x),
         low_rank = low_rank_](Stream& stream) -> absl::Status {
          EISBACH_ASSIGN_OR_RETURN(const Tensor dropped,
                                   Dropped(x, low_rank, stream));
          EISBACH_ASSIGN_OR_RETURN(const Tensor x_rows, RowsOf(dropped));
          EISBACH_ASSIGN_OR_RETURN(const Tensor dy, RowsOf(inner_grad));
          return AddProduct(*low_rank.a, dy, x_rows, stream);
        });
  }

  // scale · dy · b, side by side for all terms.
  absl::StatusOr<Tensor> InnerGradient(const Tensor& dy, Stream& stream) {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor grad,
        Tensor::Empty(inner_.shape(), inner_.dtype(), stream.device()));
    EISBACH_ASSIGN_OR_RETURN(const Tensor dy_rows, RowsOf(dy));
    EISBACH_ASSIGN_OR_RETURN(const Tensor grad_rows, RowsOf(grad));
    for (size_t i = 0; i < low_rank_.terms.size(); ++i) {
      const LowRankTerm& term = low_rank_.terms[i];
      EISBACH_ASSIGN_OR_RETURN(const Tensor from, Outer(dy_rows, term));
      EISBACH_ASSIGN_OR_RETURN(const Tensor to, Inner(grad_rows, low_rank_, i));
      EISBACH_RETURN_IF_ERROR(term.b->BeforeUse());
      EISBACH_RETURN_IF_ERROR(
          ops::Matmul(from, term.b->data(), nullptr, false, to, stream));
    }
    EISBACH_RETURN_IF_ERROR(ops::Scale(grad, low_rank_.scale, stream));
    return grad;
  }

  Saved x_;
  Tensor inner_;  // scale · dropout(x) · a^T
  LowRank low_rank_;
};

absl::Status CheckLowRank(const Tensor& y, const LowRank& low_rank) {
  if (low_rank.terms.empty()) {
    return absl::InvalidArgumentError("low_rank: there are no terms");
  }
  const int64_t rank = RankOf(low_rank);
  const int64_t rows = rank * static_cast<int64_t>(low_rank.terms.size());
  if (low_rank.a->spec().shape[0] != rows) {
    return absl::InvalidArgumentError(absl::StrCat(
        "low_rank: ", low_rank.a->spec().name, " has ",
        low_rank.a->spec().shape[0], " rows, and ", low_rank.terms.size(),
        " terms of rank ", rank, " need ", rows));
  }
  for (const LowRankTerm& term : low_rank.terms) {
    const Shape& b = term.b->spec().shape;
    if (b[1] == rank && term.first_column >= 0 &&
        term.first_column + b[0] <= y.dim(-1)) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "low_rank: ", term.b->spec().name, " ", b.ToString(), " at column ",
        term.first_column, " of y=", y.ToString(), ", of rank ", rank));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Tensor> AddLowRank(const Tensor& y, const Tensor& x,
                                  const LowRank& low_rank, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckLowRank(y, low_rank));
  EISBACH_ASSIGN_OR_RETURN(const Tensor dropped, Dropped(x, low_rank, stream));
  EISBACH_RETURN_IF_ERROR(low_rank.a->BeforeUse());
  EISBACH_ASSIGN_OR_RETURN(
      Tensor inner,
      ops::LinearForward(dropped, low_rank.a->data(), nullptr, stream));
  EISBACH_RETURN_IF_ERROR(ops::Scale(inner, low_rank.scale, stream));
  EISBACH_RETURN_IF_ERROR(AddTo(y, inner, low_rank, stream));
  Tensor sum = y.Detach();
  if (Graph* graph = CurrentGraph()) {
    graph->RecordTraining<LowRankNode>(AnyTrains(low_rank), {&y, &x}, {&sum}, x,
                                       std::move(inner), low_rank);
  }
  return sum;
}

}  // namespace eisbach::autograd
