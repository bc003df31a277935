#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::optim {

// One parameter of a round: what is done with its matrices, and by whom.
struct MatrixTask {
  const Parameter* parameter;
  int worker;  // the rank that has them whole for it
  Tensor own;  // f32, flat: of this rank's own elements
  // f32, flat, of all elements; `own` itself where nothing is divided. On the
  // other ranks undefined.
  Tensor whole;
};

// How ranks work together that hold the same weights, or divide them, and those
// that hold other parts of the same logical tensors. Every rank makes the same
// calls with tasks in one order.
class MatrixRanks {
 public:
  virtual ~MatrixRanks() = default;

  // Ranks that share the work, each with the same parts of logical tensors, and
  // which of them this one is.
  virtual int workers() const = 0;
  virtual int worker() const = 0;
  // Whether other ranks hold other parts of the logical tensors.
  virtual bool has_parts() const = 0;

  // `own` of all workers to `whole` of the one whose task it is.
  virtual absl::Status Gather(absl::Span<const MatrixTask> tasks,
                              Stream& stream) = 0;
  // The other way.
  virtual absl::Status Return(absl::Span<const MatrixTask> tasks,
                              Stream& stream) = 0;
  // Sums over the ranks that hold the other parts, and have the same task.
  virtual absl::Status SumOverParts(const Tensor& matrix, Stream& stream) = 0;
};

}  // namespace eisbach::optim
