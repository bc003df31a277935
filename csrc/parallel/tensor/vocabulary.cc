#include "parallel/tensor/vocabulary.h"

#include <algorithm>
#include <utility>

#include "autograd/functions/embedding.h"
#include "autograd/functions/softcap.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "parallel/tensor/functions/collectives.h"

namespace eisbach::parallel {

nn::Range VocabularyRows(int64_t vocab, int rank, int size) {
  const int64_t count = (vocab + size - 1) / size;
  return {vocab, rank * count, count};
}

absl::StatusOr<Tensor> VocabularyEmbedding::Forward(
    const Tensor& ids, const nn::ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      autograd::Embedding(ids, table_.weight, rows_.start, rows_.total,
                          context.stream, table_.RowsIn(context)));
  return LeaveTensorRegion(partial, group_, context);
}

absl::StatusOr<autograd::HeadInput> VocabularyHead::Part(
    const Tensor& x, const nn::ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor entered,
                           EnterTensorRegion(x, group_, context));
  autograd::VocabularyShard shard;
  shard.first_column = rows_.start;
  shard.valid_columns =
      std::clamp<int64_t>(rows_.total - rows_.start, 0, rows_.count);
  shard.vocab = rows_.total;
  Stream& stream = context.stream;
  shard.gather = [this,
                  &stream](const Tensor& stats) -> absl::StatusOr<Tensor> {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor all, Tensor::Empty(Shape{group_.size(), stats.dim(0), 3},
                                  DType::kF32, stream.device()));
    EISBACH_RETURN_IF_ERROR(group_.AllGather(stats, all, stream));
    return all;
  };
  autograd::HeadInput input{std::move(entered), table_.weight, std::move(shard),
                            cap_};
  input.rows = table_.RowsIn(context);
  return input;
}

absl::StatusOr<Tensor> VocabularyHead::Logits(
    const Tensor& x, const nn::ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor entered,
                           EnterTensorRegion(x, group_, context));
  EISBACH_ASSIGN_OR_RETURN(Tensor local, table_.Multiply(entered, context));
  EISBACH_ASSIGN_OR_RETURN(local,
                           autograd::Softcap(local, cap_, context.stream));
  Stream& stream = context.stream;
  const Shape shape{group_.size(), local.dim(0), local.dim(1), local.dim(2)};
  EISBACH_ASSIGN_OR_RETURN(
      Tensor gathered, Tensor::Empty(shape, local.dtype(), stream.device()));
  EISBACH_RETURN_IF_ERROR(group_.AllGather(local, gathered, stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor logits,
      Tensor::Empty(Shape{local.dim(0), local.dim(1), rows_.total},
                    local.dtype(), stream.device()));
  for (int rank = 0; rank < group_.size(); ++rank) {
    const nn::Range rows = VocabularyRows(rows_.total, rank, group_.size());
    const int64_t valid =
        std::clamp<int64_t>(rows.total - rows.start, 0, rows.count);
    if (valid == 0) continue;
    EISBACH_ASSIGN_OR_RETURN(Tensor part, gathered.Narrow(0, rank, 1));
    EISBACH_ASSIGN_OR_RETURN(part, part.View(local.shape()));
    EISBACH_ASSIGN_OR_RETURN(part, part.Narrow(2, 0, valid));
    EISBACH_ASSIGN_OR_RETURN(Tensor to, logits.Narrow(2, rows.start, valid));
    EISBACH_RETURN_IF_ERROR(ops::Copy(part, to, stream));
  }
  return logits;
}

}  // namespace eisbach::parallel
