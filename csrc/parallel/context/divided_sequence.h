#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "nn/sequence_part.h"
#include "parallel/context/divided_rows.h"
#include "parallel/context/method.h"
#include "parallel/context/zigzag.h"

namespace eisbach::parallel {

// Rows that the ranks of a group divide by zigzag.h: gives layers what they
// know of a part, with attention by one of the methods.
//
// Groups of neighbours may exchange heads. Their chunks, one after another, are
// the chunks that a rank would have if each such group were one rank: a zigzag
// of groups, each of which is one of ranks. So work is even with both.
class DividedSequence {
 public:
  // `exchange` is what ChooseContextMethod gave; `group` and `compute` outlive
  // the sequence and the graphs that are recorded with it. Collective over the
  // group.
  static absl::StatusOr<std::unique_ptr<DividedSequence>> Make(
      const ContextExchange& exchange, comm::Communicator& group,
      Stream& compute);

  int ranks() const { return group_.size(); }

  // This rank's part, [B, T / n], of whole rows [B, T] that Zigzag::Validate
  // has let pass.
  absl::StatusOr<Tensor> Take(const Tensor& whole) const;
  // Of rows [batch, length], with the starts of their documents
  // (ops/document_starts.h; undefined: one document each).
  absl::StatusOr<std::shared_ptr<const nn::SequencePart>> PartOf(
      int64_t batch, int64_t length, const Tensor& starts) const;
  // From here on PartOf has at hand what is the same for all such rows. Not
  // within work that is captured, whose memory is its own.
  absl::Status Keep(int64_t batch, int64_t length);

 private:
  DividedSequence(const ContextExchange& exchange, comm::Communicator& group,
                  Stream& compute)
      : exchange_(exchange), group_(group), compute_(compute) {}

  // Of the rank among all, of the groups that exchange heads among one another,
  // and of the rank in its own.
  Zigzag ZigzagOf(int64_t length) const {
    return Zigzag(length, group_.size(), group_.rank());
  }
  Zigzag Between(int64_t length) const;
  Zigzag Inside(int64_t length) const;

  // i32 [batch, T / n], of this rank's tokens in their rows.
  absl::StatusOr<Tensor> Positions(int64_t batch, int64_t length) const;
  // Of rows whose documents have these starts.
  absl::StatusOr<nn::AttentionFunction> AttentionOf(int64_t length,
                                                    const Tensor& starts) const;

  const ContextExchange exchange_;
  comm::Communicator& group_;
  Stream& compute_;
  std::unique_ptr<Stream> travel_;
  // Of group_, where these are not all of it or one rank each: those that
  // exchange heads, and those that have the same heads.
  std::unique_ptr<comm::Communicator> inside_, between_;
  int64_t kept_length_ = 0;
  Tensor kept_positions_;
};

}  // namespace eisbach::parallel
