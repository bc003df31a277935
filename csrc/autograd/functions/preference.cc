#include "autograd/functions/preference.h"

#include <algorithm>
#include <utility>

#include "autograd/functions/head_chunks.h"
#include "autograd/functions/known_gradient.h"
#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/ids.h"
#include "ops/matmul.h"
#include "ops/softcap.h"

namespace eisbach::autograd {
namespace {

// The rows of a head and their targets, [n, H] and [n].
struct FlatRows {
  Tensor x;
  Tensor targets;
  int64_t count;
  int64_t chunk;
};

absl::StatusOr<FlatRows> Flatten(const HeadInput& head, const PairRows& pairs) {
  EISBACH_RETURN_IF_ERROR(
      ops::CheckIds(ops::IdKind::kTarget, pairs.targets, head.shard.vocab));
  FlatRows rows;
  rows.count = pairs.targets.elements();
  rows.chunk = HeadChunk(rows.count, head.weight, head.x, head.logits_bytes);
  EISBACH_ASSIGN_OR_RETURN(rows.x,
                           head.x.View(Shape{rows.count, head.x.dim(-1)}));
  EISBACH_ASSIGN_OR_RETURN(rows.targets, pairs.targets.View(Shape{rows.count}));
  return rows;
}

absl::StatusOr<Tensor> ChunkLogits(const HeadInput& head, const FlatRows& rows,
                                   int64_t begin, int64_t count,
                                   Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor x, rows.x.Narrow(0, begin, count));
  EISBACH_RETURN_IF_ERROR(head.weight.BeforeUse());
  EISBACH_ASSIGN_OR_RETURN(
      Tensor logits,
      ops::LinearForward(x, head.weight.data(), nullptr, stream));
  if (head.cap != 0) {
    EISBACH_RETURN_IF_ERROR(ops::Softcap(logits, head.cap, stream));
  }
  return logits;
}

// What the forward pass has of each token, f32 [n], and the logits where they
// are one chunk.
struct TokenLosses {
  Tensor loss;
  Tensor lse;
  Tensor logits;
};

absl::StatusOr<TokenLosses> LossesOf(const HeadInput& head,
                                     const FlatRows& rows, Stream& stream) {
  TokenLosses all;
  const Shape n{rows.count};
  EISBACH_ASSIGN_OR_RETURN(all.loss,
                           Tensor::Empty(n, DType::kF32, stream.device()));
  EISBACH_ASSIGN_OR_RETURN(all.lse,
                           Tensor::Empty(n, DType::kF32, stream.device()));
  for (int64_t begin = 0; begin < rows.count; begin += rows.chunk) {
    const int64_t count = std::min(rows.chunk, rows.count - begin);
    EISBACH_ASSIGN_OR_RETURN(Tensor logits,
                             ChunkLogits(head, rows, begin, count, stream));
    EISBACH_ASSIGN_OR_RETURN(Tensor targets,
                             rows.targets.Narrow(0, begin, count));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor stats,
        ops::CrossEntropyStats(logits, targets, head.shard.first_column,
                               head.shard.valid_columns, stream));
    if (head.shard.gather) {
      EISBACH_ASSIGN_OR_RETURN(stats, head.shard.gather(stats));
    } else {
      EISBACH_ASSIGN_OR_RETURN(stats, stats.View(Shape{1, count, 3}));
    }
    EISBACH_ASSIGN_OR_RETURN(
        const ops::CrossEntropyOutput out,
        ops::CrossEntropyCombine(stats, targets, head.shard.vocab, stream));
    EISBACH_ASSIGN_OR_RETURN(Tensor loss, all.loss.Narrow(0, begin, count));
    EISBACH_ASSIGN_OR_RETURN(Tensor lse, all.lse.Narrow(0, begin, count));
    EISBACH_RETURN_IF_ERROR(ops::Copy(out.loss, loss, stream));
    EISBACH_RETURN_IF_ERROR(ops::Copy(out.lse, lse, stream));
    if (count == rows.count) all.logits = std::move(logits);
  }
  return all;
}

// Adds to the weight's gradient, and writes dx [n, H], by what each token
// weighs.
absl::Status AddGradients(const HeadInput& head, const FlatRows& rows,
                          TokenLosses losses, const Tensor& weights,
                          const LossScale& scale, const Tensor& dx,
                          Stream& stream) {
  const Tensor* factor =
      scale.gradient_factor.defined() ? &scale.gradient_factor : nullptr;
  Parameter& weight = head.weight;
  for (int64_t begin = 0; begin < rows.count; begin += rows.chunk) {
    const int64_t count = std::min(rows.chunk, rows.count - begin);
    Tensor logits = std::move(losses.logits);
    if (!logits.defined()) {
      EISBACH_ASSIGN_OR_RETURN(logits,
                               ChunkLogits(head, rows, begin, count, stream));
    }
    Tensor capped;  // backward overwrites the logits
    if (head.cap != 0) {
      EISBACH_ASSIGN_OR_RETURN(capped,
                               ops::Cast(logits, logits.dtype(), stream));
    }
    EISBACH_ASSIGN_OR_RETURN(Tensor targets,
                             rows.targets.Narrow(0, begin, count));
    EISBACH_ASSIGN_OR_RETURN(Tensor lse, losses.lse.Narrow(0, begin, count));
    EISBACH_ASSIGN_OR_RETURN(Tensor part, weights.Narrow(0, begin, count));
    EISBACH_RETURN_IF_ERROR(ops::CrossEntropyBackward(
        logits, targets, lse, head.shard.first_column, head.shard.valid_columns,
        scale.scale, stream, factor, &part));
    if (head.cap != 0) {
      EISBACH_RETURN_IF_ERROR(
          ops::SoftcapBackward(logits, capped, head.cap, stream));
    }
    EISBACH_ASSIGN_OR_RETURN(Tensor dx_part, dx.Narrow(0, begin, count));
    EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
    EISBACH_RETURN_IF_ERROR(ops::Matmul(logits, weight.data(), nullptr,
                                        /*accumulate=*/false, dx_part, stream));
    if (!Trains(weight, head.rows)) continue;
    EISBACH_ASSIGN_OR_RETURN(Tensor x, rows.x.Narrow(0, begin, count));
    if (!weight.trains()) {
      EISBACH_RETURN_IF_ERROR(AddHeadGradient(*head.rows, logits, x,
                                              /*starts=*/begin == 0, stream));
      continue;
    }
    EISBACH_RETURN_IF_ERROR(weight.BeforeGradient());
    EISBACH_RETURN_IF_ERROR(ops::LinearBackwardWeight(
        logits, x, {weight.grad(), weight.accumulate() || begin > 0}, stream));
  }
  return absl::OkStatus();
}

// f64 [B, ops::kPairSums], of whole rows.
absl::StatusOr<Tensor> SumsOf(const PairRows& pairs, const TokenLosses& losses,
                              Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor sums,
      ops::PairSums(losses.loss, pairs.targets, pairs.starts, stream));
  if (pairs.add_up) EISBACH_RETURN_IF_ERROR(pairs.add_up(sums));
  return sums;
}

}  // namespace

absl::StatusOr<Tensor> PairLogProbabilities(const HeadInput& head,
                                            const PairRows& pairs,
                                            Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const FlatRows rows, Flatten(head, pairs));
  EISBACH_ASSIGN_OR_RETURN(RowsInPlace placed,
                           RowsInPlace::Put(head.rows, head.weight, stream));
  EISBACH_ASSIGN_OR_RETURN(const TokenLosses losses,
                           LossesOf(head, rows, stream));
  EISBACH_RETURN_IF_ERROR(placed.TakeOut());
  return SumsOf(pairs, losses, stream);
}

absl::StatusOr<Tensor> LinearPreference(
    const HeadInput& head, const PairRows& pairs, const Tensor& reference,
    const ops::PreferenceRule& rule, const LossScale& scale, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const FlatRows rows, Flatten(head, pairs));
  if (rows.count == 0) {
    return absl::InvalidArgumentError(
        "preference: there is no token in the pairs");
  }
  EISBACH_ASSIGN_OR_RETURN(RowsInPlace placed,
                           RowsInPlace::Put(head.rows, head.weight, stream));
  EISBACH_ASSIGN_OR_RETURN(TokenLosses losses, LossesOf(head, rows, stream));
  EISBACH_ASSIGN_OR_RETURN(const Tensor policy, SumsOf(pairs, losses, stream));
  EISBACH_ASSIGN_OR_RETURN(
      ops::PreferenceOutput out,
      ops::Preference(rule, scale.scale, policy, reference, pairs.starts,
                      scale.counted, stream));
  Graph* graph = CurrentGraph();
  Parameter& weight = head.weight;
  const bool trains = Trains(weight, head.rows);
  if (graph == nullptr || !graph->Wants({&head.x}, trains)) {
    EISBACH_RETURN_IF_ERROR(placed.TakeOut());
    return std::move(out.loss);
  }
  EISBACH_ASSIGN_OR_RETURN(
      Tensor dx,
      Tensor::Empty(head.x.shape(), head.x.dtype(), stream.device()));
  EISBACH_ASSIGN_OR_RETURN(const Tensor dx_rows, dx.View(rows.x.shape()));
  EISBACH_RETURN_IF_ERROR(AddGradients(head, rows, std::move(losses),
                                       out.weights, scale, dx_rows, stream));
  EISBACH_RETURN_IF_ERROR(placed.TakeOut());
  EISBACH_RETURN_IF_ERROR(GradientWritten(weight, head.rows));
  graph->RecordTraining<KnownGradientNode>(trains, {&head.x}, {&out.loss},
                                           weight, std::move(dx));
  return std::move(out.loss);
}

}  // namespace eisbach::autograd
