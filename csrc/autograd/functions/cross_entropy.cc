#include "autograd/functions/cross_entropy.h"

#include <algorithm>

#include "autograd/functions/head_chunks.h"
#include "autograd/functions/known_gradient.h"
#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/ids.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softcap.h"

namespace eisbach::autograd {
namespace {

const Tensor* FactorOf(const LossScale& scale) {
  return scale.gradient_factor.defined() ? &scale.gradient_factor : nullptr;
}

class CrossEntropyNode final : public Node {
 public:
  CrossEntropyNode(Tensor logits, Tensor rows, Tensor targets, Tensor lse,
                   const VocabularyShard& shard, LossScale scale)
      : logits_(std::move(logits)),
        rows_(std::move(rows)),
        targets_(std::move(targets)),
        lse_(std::move(lse)),
        first_column_(shard.first_column),
        valid_columns_(shard.valid_columns),
        vocab_(shard.vocab),
        scale_(std::move(scale)) {}

  absl::string_view name() const override { return "cross_entropy"; }

  absl::Status Backward(absl::Span<Tensor>, BackwardContext& context) override {
    EISBACH_RETURN_IF_ERROR(ops::CrossEntropyBackward(
        rows_, targets_, lse_, first_column_, valid_columns_, scale_.scale,
        context.stream, FactorOf(scale_), /*weights=*/nullptr, scale_.terms,
        vocab_));
    rows_ = Tensor();
    return Send(0, std::move(logits_), context.stream);
  }

 private:
  Tensor logits_, rows_, targets_, lse_;
  int64_t first_column_, valid_columns_, vocab_;
  LossScale scale_;
};

// Adds to `loss` what the logits [N, columns] give, or overwrites it; returns
// the log of each row's sum of exponentials.
absl::StatusOr<Tensor> AddLoss(const Tensor& logits, const Tensor& targets,
                               const VocabularyShard& shard,
                               const LossScale& scale, bool accumulate,
                               const Tensor& loss, Stream& stream) {
  const bool smooth = scale.terms.label_smoothing != 0;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor stats,
      ops::CrossEntropyStats(logits, targets, shard.first_column,
                             shard.valid_columns, stream, smooth));
  if (shard.gather) {
    EISBACH_ASSIGN_OR_RETURN(stats, shard.gather(stats));
  } else {
    EISBACH_ASSIGN_OR_RETURN(stats,
                             stats.View(Shape{1, logits.dim(0), stats.dim(1)}));
  }
  Tensor counted;
  if (scale.counted.defined()) {
    EISBACH_ASSIGN_OR_RETURN(counted, scale.counted.Narrow(0, 0, 1));
  }
  EISBACH_ASSIGN_OR_RETURN(
      ops::CrossEntropyOutput out,
      ops::CrossEntropyCombine(stats, targets, shard.vocab, stream,
                               counted.defined() ? &counted : nullptr,
                               scale.terms));
  EISBACH_RETURN_IF_ERROR(ops::Scale(out.loss, scale.scale, stream));
  EISBACH_RETURN_IF_ERROR(ops::Sum(out.loss, accumulate, loss, stream));
  if (scale.terms.any() && counted.defined()) {
    EISBACH_RETURN_IF_ERROR(ops::Scale(out.added, scale.scale, stream));
    for (int term = 0; term < 2; ++term) {
      EISBACH_ASSIGN_OR_RETURN(const Tensor row, out.added.Narrow(0, term, 1));
      EISBACH_ASSIGN_OR_RETURN(const Tensor sum,
                               scale.counted.Narrow(0, 1 + term, 1));
      EISBACH_RETURN_IF_ERROR(ops::Sum(row, /*accumulate=*/true, sum, stream));
    }
  }
  return std::move(out.lse);
}

// One chunk of LinearCrossEntropy: x and dx are rows [n, H]; dx undefined when
// no gradient is wanted.
absl::Status ChunkLoss(const Tensor& x, Parameter& weight,
                       const TrainedRows* trained, const Tensor& targets,
                       const VocabularyShard& shard, const LossScale& scale,
                       double cap, bool first, const Tensor& loss,
                       const Tensor& dx, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
  EISBACH_ASSIGN_OR_RETURN(
      Tensor logits, ops::LinearForward(x, weight.data(), nullptr, stream));
  Tensor capped;  // backward overwrites the logits
  if (cap != 0) {
    EISBACH_RETURN_IF_ERROR(ops::Softcap(logits, cap, stream));
    if (dx.defined()) {
      EISBACH_ASSIGN_OR_RETURN(capped,
                               ops::Cast(logits, logits.dtype(), stream));
    }
  }
  EISBACH_ASSIGN_OR_RETURN(Tensor lse,
                           AddLoss(logits, targets, shard, scale,
                                   /*accumulate=*/!first, loss, stream));
  if (!dx.defined()) return absl::OkStatus();
  EISBACH_RETURN_IF_ERROR(ops::CrossEntropyBackward(
      logits, targets, lse, shard.first_column, shard.valid_columns,
      scale.scale, stream, FactorOf(scale), /*weights=*/nullptr, scale.terms,
      shard.vocab));
  if (cap != 0) {
    EISBACH_RETURN_IF_ERROR(ops::SoftcapBackward(logits, capped, cap, stream));
  }
  EISBACH_RETURN_IF_ERROR(ops::Matmul(logits, weight.data(), nullptr,
                                      /*accumulate=*/false, dx, stream));
  if (!Trains(weight, trained)) return absl::OkStatus();
  if (!weight.trains()) {
    return AddHeadGradient(*trained, logits, x, /*starts=*/first, stream);
  }
  EISBACH_RETURN_IF_ERROR(weight.BeforeGradient());
  return ops::LinearBackwardWeight(
      logits, x, {weight.grad(), weight.accumulate() || !first}, stream);
}

}  // namespace

absl::StatusOr<Tensor> CrossEntropy(const Tensor& logits, const Tensor& targets,
                                    const VocabularyShard& shard,
                                    const LossScale& scale, Stream& stream) {
  const int64_t columns = logits.dim(-1);
  const int64_t n = targets.elements();
  EISBACH_RETURN_IF_ERROR(
      ops::CheckIds(ops::IdKind::kTarget, targets, shard.vocab));
  EISBACH_ASSIGN_OR_RETURN(Tensor rows, logits.View(Shape{n, columns}));
  EISBACH_ASSIGN_OR_RETURN(Tensor flat_targets, targets.View(Shape{n}));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor loss, Tensor::Empty(Shape{1}, DType::kF64, stream.device()));
  EISBACH_ASSIGN_OR_RETURN(Tensor lse,
                           AddLoss(rows, flat_targets, shard, scale,
                                   /*accumulate=*/false, loss, stream));
  if (Graph* graph = CurrentGraph()) {
    graph->Record<CrossEntropyNode>({&logits}, {&loss}, logits.Detach(),
                                    std::move(rows), std::move(flat_targets),
                                    std::move(lse), shard, scale);
  }
  return loss;
}

absl::StatusOr<Tensor> LinearCrossEntropy(
    const Tensor& x, Parameter& weight, const Tensor& targets,
    const VocabularyShard& shard, const LossScale& scale, Stream& stream,
    int64_t logits_bytes, double cap, const TrainedRows* trained) {
  const int64_t n = targets.elements();
  EISBACH_RETURN_IF_ERROR(
      ops::CheckIds(ops::IdKind::kTarget, targets, shard.vocab));
  const int64_t chunk = HeadChunk(n, weight, x, logits_bytes);

  EISBACH_ASSIGN_OR_RETURN(Tensor rows, x.View(Shape{n, x.dim(-1)}));
  EISBACH_ASSIGN_OR_RETURN(Tensor flat_targets, targets.View(Shape{n}));
  EISBACH_ASSIGN_OR_RETURN(Tensor loss,
                           Tensor::Zeros(Shape{1}, DType::kF64, stream));
  EISBACH_ASSIGN_OR_RETURN(RowsInPlace placed,
                           RowsInPlace::Put(trained, weight, stream));
  const bool trains = Trains(weight, trained);
  Graph* graph = CurrentGraph();
  if (graph != nullptr && !graph->Wants({&x}, trains)) graph = nullptr;
  Tensor dx, dx_rows;
  if (graph != nullptr) {
    EISBACH_ASSIGN_OR_RETURN(
        dx, Tensor::Empty(x.shape(), x.dtype(), stream.device()));
    EISBACH_ASSIGN_OR_RETURN(dx_rows, dx.View(rows.shape()));
  }
  int64_t begin = 0;
  do {  // once for an empty batch too: the gradient must become zero
    const int64_t count = std::min(chunk, n - begin);
    EISBACH_ASSIGN_OR_RETURN(Tensor x_part, rows.Narrow(0, begin, count));
    EISBACH_ASSIGN_OR_RETURN(Tensor targets_part,
                             flat_targets.Narrow(0, begin, count));
    Tensor dx_part;
    if (graph != nullptr) {
      EISBACH_ASSIGN_OR_RETURN(dx_part, dx_rows.Narrow(0, begin, count));
    }
    EISBACH_RETURN_IF_ERROR(
        ChunkLoss(x_part, weight, trained, targets_part, shard, scale, cap,
                  /*first=*/begin == 0, loss, dx_part, stream));
    begin += chunk;
  } while (begin < n);
  EISBACH_RETURN_IF_ERROR(placed.TakeOut());
  if (graph != nullptr) {
    EISBACH_RETURN_IF_ERROR(GradientWritten(weight, trained));
    graph->RecordTraining<KnownGradientNode>(trains, {&x}, {&loss}, weight,
                                             std::move(dx));
  }
  return loss;
}

}  // namespace eisbach::autograd
