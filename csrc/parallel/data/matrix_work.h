#pragma once

#include "comm/communicator.h"
#include "optim/matrix_ranks.h"

namespace eisbach::parallel {

// Ranks that share the work on matrices: those of `workers` have the same
// weights, or divide them, and those of `parts` the other parts of logical
// tensors. Divided parameters travel from each rank that has some of it to the
// worker and back, in one exchange a round; whole ones only back, by a
// broadcast each.
class MatrixWork final : public optim::MatrixRanks {
 public:
  // Both outlive it.
  MatrixWork(comm::Communicator& workers, comm::Communicator& parts)
      : workers_(workers), parts_(parts) {}

  int workers() const override { return workers_.size(); }
  int worker() const override { return workers_.rank(); }
  bool has_parts() const override { return parts_.size() > 1; }
  absl::Status Gather(absl::Span<const optim::MatrixTask> tasks,
                      Stream& stream) override;
  absl::Status Return(absl::Span<const optim::MatrixTask> tasks,
                      Stream& stream) override;
  absl::Status SumOverParts(const Tensor& matrix, Stream& stream) override;

 private:
  // What divided tasks have to move, to their workers or from them.
  absl::Status Move(absl::Span<const optim::MatrixTask> tasks, bool to_worker,
                    Stream& stream);

  comm::Communicator& workers_;
  comm::Communicator& parts_;
};

}  // namespace eisbach::parallel
