#include "parallel/data/matrix_work.h"

#include <vector>

#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::parallel {

using comm::Transfer;
using optim::MatrixTask;

absl::Status MatrixWork::Gather(absl::Span<const MatrixTask> tasks,
                                Stream& stream) {
  return Move(tasks, /*to_worker=*/true, stream);
}

absl::Status MatrixWork::Return(absl::Span<const MatrixTask> tasks,
                                Stream& stream) {
  for (const MatrixTask& task : tasks) {
    if (task.parameter->divided()) continue;
    EISBACH_RETURN_IF_ERROR(workers_.Broadcast(task.own, task.worker, stream));
  }
  return Move(tasks, /*to_worker=*/false, stream);
}

absl::Status MatrixWork::Move(absl::Span<const MatrixTask> tasks,
                              bool to_worker, Stream& stream) {
  const int rank = workers_.rank();
  std::vector<Transfer> transfers;
  const auto add = [&](bool sends, int peer, const Tensor& tensor) {
    transfers.push_back(
        {sends ? Transfer::Kind::kSend : Transfer::Kind::kReceive, peer,
         tensor});
  };
  for (const MatrixTask& task : tasks) {
    if (!task.parameter->divided()) continue;
    if (task.worker != rank) {
      if (task.own.defined()) add(to_worker, task.worker, task.own);
      continue;
    }
    for (int part = 0; part < workers_.size(); ++part) {
      const ElementRange theirs = task.parameter->PartOf(part);
      if (theirs.elements == 0) continue;
      EISBACH_ASSIGN_OR_RETURN(
          const Tensor place,
          task.whole.Narrow(0, theirs.begin, theirs.elements));
      if (part != rank) {
        add(!to_worker, part, place);
      } else {
        EISBACH_RETURN_IF_ERROR(to_worker ? ops::Copy(task.own, place, stream)
                                          : ops::Copy(place, task.own, stream));
      }
    }
  }
  return transfers.empty() ? absl::OkStatus()
                           : workers_.Exchange(transfers, stream);
}

absl::Status MatrixWork::SumOverParts(const Tensor& matrix, Stream& stream) {
  return parts_.AllReduce(matrix, comm::ReduceOp::kSum, stream);
}

}  // namespace eisbach::parallel
