#include "parallel/context/divided_sequence.h"

#include <utility>

#include "core/status_macros.h"
#include "ops/document_starts.h"
#include "parallel/context/gather.h"
#include "parallel/context/ring.h"
#include "parallel/context/ulysses.h"

namespace eisbach::parallel {
namespace {

using Method = absl::StatusOr<Tensor> (*)(const Tensor&,
                                          const ops::AttentionHeads&,
                                          const ops::AttentionOptions&,
                                          const DividedRows&, Stream&);

Method FunctionOf(ContextMethod method) {
  switch (method) {
    case ContextMethod::kUlysses:
      return &UlyssesAttention;
    case ContextMethod::kGather:
      return &GatherAttention;
    case ContextMethod::kAuto:  // has been chosen
    case ContextMethod::kRing:
      break;
  }
  return &RingAttention;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DividedSequence>> DividedSequence::Make(
    ContextMethod method, comm::Communicator& group, Stream& compute) {
  std::unique_ptr<DividedSequence> sequence(
      new DividedSequence(method, group, compute));
  EISBACH_ASSIGN_OR_RETURN(sequence->travel_, compute.device().NewStream());
  return sequence;
}

absl::StatusOr<Tensor> DividedSequence::Take(const Tensor& whole) const {
  return ZigzagOf(whole.dim(1)).Take(whole, compute_);
}

absl::StatusOr<std::shared_ptr<const nn::SequencePart>> DividedSequence::PartOf(
    int64_t batch, int64_t length, const Tensor& starts) const {
  nn::SequencePart part;
  DividedRows rows{ZigzagOf(length), group_, *travel_};
  // Of rows that are one document each, places in the document are those in
  // the row.
  EISBACH_ASSIGN_OR_RETURN(const Tensor places,
                           ops::RowPositions(Shape{batch, length}, compute_));
  EISBACH_ASSIGN_OR_RETURN(part.positions, Take(places));
  part.document_positions = part.positions;
  if (starts.defined()) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor in_documents,
                             ops::DocumentPositions(starts, compute_));
    EISBACH_ASSIGN_OR_RETURN(part.document_positions, Take(in_documents));
    rows.starts = starts;
    EISBACH_ASSIGN_OR_RETURN(rows.part_of_starts, Take(starts));
  }
  part.attention = [attend = FunctionOf(method_), rows = std::move(rows)](
                       const Tensor& qkv, const ops::AttentionHeads& heads,
                       const ops::AttentionOptions& options, Stream& stream) {
    return attend(qkv, heads, options, rows, stream);
  };
  return std::make_shared<const nn::SequencePart>(std::move(part));
}

}  // namespace eisbach::parallel
