#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "nn/sequence_part.h"
#include "parallel/context/method.h"
#include "parallel/context/zigzag.h"

namespace eisbach::parallel {

// Rows that the ranks of a group divide by zigzag.h: gives layers what they
// know of a part, with attention by one of the methods.
class DividedSequence {
 public:
  // `method` is what ChooseContextMethod gave; `group` and `compute` outlive
  // the sequence and the graphs that are recorded with it.
  static absl::StatusOr<std::unique_ptr<DividedSequence>> Make(
      ContextMethod method, comm::Communicator& group, Stream& compute);

  int ranks() const { return group_.size(); }

  // This rank's part, [B, T / n], of whole rows [B, T] that Zigzag::Validate
  // has let pass.
  absl::StatusOr<Tensor> Take(const Tensor& whole) const;
  // Of rows [batch, length], with the starts of their documents
  // (ops/document_starts.h; undefined: one document each).
  absl::StatusOr<std::shared_ptr<const nn::SequencePart>> PartOf(
      int64_t batch, int64_t length, const Tensor& starts) const;

 private:
  DividedSequence(ContextMethod method, comm::Communicator& group,
                  Stream& compute)
      : method_(method), group_(group), compute_(compute) {}

  Zigzag ZigzagOf(int64_t length) const {
    return Zigzag(length, group_.size(), group_.rank());
  }

  const ContextMethod method_;
  comm::Communicator& group_;
  Stream& compute_;
  std::unique_ptr<Stream> travel_;
};

}  // namespace eisbach::parallel
