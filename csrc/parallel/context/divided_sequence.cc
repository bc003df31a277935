#include "parallel/context/divided_sequence.h"

#include <utility>
#include <vector>

#include "autograd/functions/attention.h"
#include "core/status_macros.h"
#include "ops/document_starts.h"
#include "parallel/context/gather.h"
#include "parallel/context/ring.h"
#include "parallel/context/ulysses.h"

namespace eisbach::parallel {
namespace {

// Of whole rows.
nn::AttentionFunction PlainAttention(const Tensor& starts) {
  return [starts](const Tensor& qkv, const ops::AttentionHeads& heads,
                  const ops::AttentionOptions& options, Stream& stream) {
    ops::AttentionOptions with_documents = options;
    with_documents.starts = starts;
    return autograd::Attention(qkv, heads, stream, with_documents);
  };
}

}  // namespace

absl::StatusOr<std::unique_ptr<DividedSequence>> DividedSequence::Make(
    const ContextExchange& exchange, comm::Communicator& group,
    Stream& compute) {
  std::unique_ptr<DividedSequence> sequence(
      new DividedSequence(exchange, group, compute));
  EISBACH_ASSIGN_OR_RETURN(sequence->travel_, compute.device().NewStream());
  const int size = exchange.ulysses_group;
  if (size == 1 || size == group.size()) return sequence;
  std::vector<int> neighbours, same_heads;
  const int place = group.rank() % size;
  for (int rank = 0; rank < size; ++rank) {
    neighbours.push_back(group.rank() - place + rank);
  }
  for (int rank = place; rank < group.size(); rank += size) {
    same_heads.push_back(rank);
  }
  EISBACH_ASSIGN_OR_RETURN(sequence->inside_,
                           group.Subgroup(neighbours, "context ulysses"));
  EISBACH_ASSIGN_OR_RETURN(sequence->between_,
                           group.Subgroup(same_heads, "context ring"));
  return sequence;
}

absl::StatusOr<Tensor> DividedSequence::Take(const Tensor& whole) const {
  return ZigzagOf(whole.dim(1)).Take(whole, compute_);
}

Zigzag DividedSequence::Between(int64_t length) const {
  const int size = exchange_.ulysses_group;
  return Zigzag(length, group_.size() / size, group_.rank() / size);
}

Zigzag DividedSequence::Inside(int64_t length) const {
  const int size = exchange_.ulysses_group;
  return Zigzag(Between(length).part(), size, group_.rank() % size);
}

absl::StatusOr<Tensor> DividedSequence::Positions(int64_t batch,
                                                  int64_t length) const {
  if (kept_length_ == length && kept_positions_.dim(0) == batch) {
    return kept_positions_;
  }
  EISBACH_ASSIGN_OR_RETURN(const Tensor places,
                           ops::RowPositions(Shape{batch, length}, compute_));
  return Take(places);
}

absl::Status DividedSequence::Keep(int64_t batch, int64_t length) {
  EISBACH_ASSIGN_OR_RETURN(kept_positions_, Positions(batch, length));
  kept_length_ = length;
  return absl::OkStatus();
}

absl::StatusOr<nn::AttentionFunction> DividedSequence::AttentionOf(
    int64_t length, const Tensor& starts) const {
  comm::Communicator& inside = inside_ ? *inside_ : group_;
  const Zigzag between = Between(length);
  nn::AttentionFunction attend;
  if (between.ranks() == 1) {
    attend = PlainAttention(starts);
  } else {
    DividedRows rows{between, between_ ? *between_ : group_, *travel_};
    if (starts.defined()) {
      EISBACH_ASSIGN_OR_RETURN(rows.starts, between.Take(starts, compute_));
    }
    const auto function = exchange_.method == ContextMethod::kGather
                              ? &GatherAttention
                              : &RingAttention;
    attend = [function, rows = std::move(rows)](
                 const Tensor& qkv, const ops::AttentionHeads& heads,
                 const ops::AttentionOptions& options, Stream& stream) {
      return function(qkv, heads, options, rows, stream);
    };
  }
  if (exchange_.ulysses_group == 1) return attend;
  return [zigzag = Inside(length), &inside, attend = std::move(attend)](
             const Tensor& qkv, const ops::AttentionHeads& heads,
             const ops::AttentionOptions& options, Stream& stream) {
    return UlyssesAttention(qkv, heads, options, zigzag, inside, attend,
                            stream);
  };
}

absl::StatusOr<std::shared_ptr<const nn::SequencePart>> DividedSequence::PartOf(
    int64_t batch, int64_t length, const Tensor& starts) const {
  nn::SequencePart part;
  EISBACH_ASSIGN_OR_RETURN(part.positions, Positions(batch, length));
  // Of rows that are one document each, places in the document are those in
  // the row.
  part.document_positions = part.positions;
  if (starts.defined()) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor in_documents,
                             ops::DocumentPositions(starts, compute_));
    EISBACH_ASSIGN_OR_RETURN(part.document_positions, Take(in_documents));
    EISBACH_ASSIGN_OR_RETURN(part.starts, Take(starts));
  }
  EISBACH_ASSIGN_OR_RETURN(part.attention, AttentionOf(length, starts));
  part.add_up = [&group = group_](const Tensor& sums, Stream& stream) {
    return group.AllReduce(sums, comm::ReduceOp::kSum, stream);
  };
  return std::make_shared<const nn::SequencePart>(std::move(part));
}

}  // namespace eisbach::parallel
