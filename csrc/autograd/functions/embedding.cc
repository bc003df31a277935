#include "autograd/functions/embedding.h"

#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/document_starts.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"

namespace eisbach::autograd {
namespace {

class EmbeddingNode final : public Node {
 public:
  EmbeddingNode(Tensor ids, Parameter& weight, const TrainedRows* rows,
                int64_t first_row, int64_t vocab)
      : ids_(std::move(ids)),
        weight_(weight),
        rows_(rows),
        first_row_(first_row),
        vocab_(vocab) {}
  absl::string_view name() const override { return weight_.spec().name; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    if (!Trains(weight_, rows_)) return absl::OkStatus();  // only observed
    if (!weight_.trains()) return RowsBackward(grads[0], context);
    return context.WeightGradient(
        [dy = grads[0], ids = ids_, &weight = weight_, first_row = first_row_,
         vocab = vocab_](Stream& stream) -> absl::Status {
          EISBACH_RETURN_IF_ERROR(weight.BeforeGradient());
          EISBACH_RETURN_IF_ERROR(ops::EmbeddingBackward(
              dy, ids, first_row, vocab, weight.accumulate(), weight.grad(),
              stream));
          return weight.GradientWritten();
        });
  }

 private:
  absl::Status RowsBackward(const Tensor& dy, BackwardContext& context) {
    return context.WeightGradient(
        [dy, ids = ids_, &rows = *rows_, first_row = first_row_,
         vocab = vocab_](Stream& stream) -> absl::Status {
          EISBACH_RETURN_IF_ERROR(
              AddEmbeddingGradient(rows, dy, ids, first_row, vocab, stream));
          return rows.weight->GradientWritten();
        });
  }

  Tensor ids_;
  Parameter& weight_;
  const TrainedRows* rows_;
  int64_t first_row_, vocab_;
};

class PositionNode final : public Node {
 public:
  // positions: undefined where they are those of the row.
  PositionNode(Tensor positions, Parameter& weight)
      : positions_(std::move(positions)), weight_(weight) {}
  absl::string_view name() const override { return weight_.spec().name; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_RETURN_IF_ERROR(Send(0, grads[0], context.stream));
    if (!weight_.trains()) return absl::OkStatus();
    return context.WeightGradient(
        [dy = grads[0], positions = positions_,
         &weight = weight_](Stream& stream) -> absl::Status {
          EISBACH_RETURN_IF_ERROR(weight.BeforeGradient());
          EISBACH_RETURN_IF_ERROR(
              positions.defined()
                  ? ops::EmbeddingBackward(
                        dy, positions, /*first_row=*/0, weight.spec().shape[0],
                        weight.accumulate(), weight.grad(), stream)
                  : ops::PositionBackward(dy, weight.accumulate(),
                                          weight.grad(), stream));
          return weight.GradientWritten();
        });
  }

 private:
  Tensor positions_;
  Parameter& weight_;
};

}  // namespace

absl::StatusOr<Tensor> Embedding(const Tensor& ids, Parameter& weight,
                                 int64_t first_row, int64_t vocab,
                                 Stream& stream, const TrainedRows* rows) {
  EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
  EISBACH_ASSIGN_OR_RETURN(RowsInPlace placed,
                           RowsInPlace::Put(rows, weight, stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y,
      ops::EmbeddingForward(ids, weight.data(), first_row, vocab, stream));
  EISBACH_RETURN_IF_ERROR(placed.TakeOut());
  if (Graph* graph = CurrentGraph()) {
    graph->RecordTraining<EmbeddingNode>(Trains(weight, rows), {}, {&y}, ids,
                                         weight, rows, first_row, vocab);
  }
  return y;
}

absl::StatusOr<Tensor> AddPosition(const Tensor& x, Parameter& weight,
                                   Stream& stream, const Tensor& starts) {
  if (starts.defined()) {
    EISBACH_RETURN_IF_ERROR(ops::CheckStarts(
        "add_position", starts,
        Shape(x.shape().dims().subspan(0, x.rank() - 1)), stream));
    EISBACH_ASSIGN_OR_RETURN(Tensor positions,
                             ops::DocumentPositions(starts, stream));
    return AddRows(x, std::move(positions), weight, stream);
  }
  EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
  EISBACH_RETURN_IF_ERROR(ops::AddPosition(x, weight.data(), stream));
  Tensor y = x.Detach();
  if (Graph* graph = CurrentGraph()) {
    graph->RecordTraining<PositionNode>(weight.trains(), {&x}, {&y}, Tensor(),
                                        weight);
  }
  return y;
}

absl::StatusOr<Tensor> AddRows(const Tensor& x, Tensor positions,
                               Parameter& weight, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor rows,
      ops::EmbeddingForward(positions, weight.data(), /*first_row=*/0,
                            weight.data().dim(0), stream));
  EISBACH_RETURN_IF_ERROR(ops::AddInPlace(x, rows, stream));
  Tensor y = x.Detach();
  if (Graph* graph = CurrentGraph()) {
    graph->RecordTraining<PositionNode>(weight.trains(), {&x}, {&y},
                                        std::move(positions), weight);
  }
  return y;
}

}  // namespace eisbach::autograd
