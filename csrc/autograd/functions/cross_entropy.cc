#include "autograd/functions/cross_entropy.h"

#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"

namespace eisbach::autograd {
namespace {

class CrossEntropyNode final : public Node {
 public:
  CrossEntropyNode(Tensor logits, Tensor rows, Tensor targets, Tensor lse,
                   int64_t first_column, int64_t valid_columns, float scale)
      : logits_(std::move(logits)),
        rows_(std::move(rows)),
        targets_(std::move(targets)),
        lse_(std::move(lse)),
        first_column_(first_column),
        valid_columns_(valid_columns),
        scale_(scale) {}

  absl::string_view name() const override { return "cross_entropy"; }

  absl::Status Backward(absl::Span<Tensor>, BackwardContext& context) override {
    EISBACH_RETURN_IF_ERROR(
        ops::CrossEntropyBackward(rows_, targets_, lse_, first_column_,
                                  valid_columns_, scale_, context.stream));
    rows_ = Tensor();
    return Send(0, std::move(logits_), context.stream);
  }

 private:
  Tensor logits_, rows_, targets_, lse_;
  int64_t first_column_, valid_columns_;
  float scale_;
};

}  // namespace

absl::StatusOr<Tensor> CrossEntropy(const Tensor& logits, const Tensor& targets,
                                    const VocabularyShard& shard, float scale,
                                    Stream& stream) {
  const int64_t columns = logits.dim(-1);
  const int64_t n = targets.elements();
  EISBACH_ASSIGN_OR_RETURN(Tensor rows, logits.View(Shape{n, columns}));
  EISBACH_ASSIGN_OR_RETURN(Tensor flat_targets, targets.View(Shape{n}));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor stats,
      ops::CrossEntropyStats(rows, flat_targets, shard.first_column,
                             shard.valid_columns, stream));
  if (shard.gather) {
    EISBACH_ASSIGN_OR_RETURN(stats, shard.gather(stats));
  } else {
    EISBACH_ASSIGN_OR_RETURN(stats, stats.View(Shape{1, n, 3}));
  }
  EISBACH_ASSIGN_OR_RETURN(ops::CrossEntropyOutput out,
                           ops::CrossEntropyCombine(stats, stream));
  EISBACH_RETURN_IF_ERROR(ops::Scale(out.loss, scale, stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor loss, Tensor::Empty(Shape{1}, DType::kF64, stream.device()));
  EISBACH_RETURN_IF_ERROR(
      ops::Sum(out.loss, /*accumulate=*/false, loss, stream));
  if (Graph* graph = CurrentGraph()) {
    graph->Record<CrossEntropyNode>({&logits}, {&loss}, logits.Detach(),
                                    std::move(rows), std::move(flat_targets),
                                    std::move(out.lse), shard.first_column,
                                    shard.valid_columns, scale);
  }
  return loss;
}

}  // namespace eisbach::autograd
