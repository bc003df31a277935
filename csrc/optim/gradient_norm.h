#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "tensor/flat_buffer.h"

namespace eisbach::optim {

// This rank's part of the squared norm of the whole gradient: the sum over the
// primary slices of its parameters, in this rank's part of each bucket, so that
// summed over the pipeline and tensor axes and the ranks that divide buckets
// each logical element counts once and padding never. The order of the sum is
// the same whatever is divided besides.
class GradientNorm {
 public:
  // Shares the storage of `buffer`'s gradients.
  static absl::StatusOr<GradientNorm> Make(const FlatBuffer& buffer,
                                           Stream& stream);

  // Overwrites partial(). Neighbouring ranges are summed in one kernel.
  absl::Status Compute(Stream& stream);

  // f64 [1]: summed over ranks in place, it is ops::ClipFactor's argument.
  const Tensor& partial() const { return partial_; }
  // What Compute sums, for tests.
  const std::vector<Tensor>& ranges() const { return ranges_; }

 private:
  GradientNorm() = default;

  std::vector<Tensor> ranges_;  // one-dimensional pieces of the gradients
  Tensor partial_;
};

}  // namespace eisbach::optim
