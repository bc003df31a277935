#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "parallel/data/gradient_sum.h"

namespace eisbach::parallel {

// Sums the gradients of a stage's buckets over the data group, each bucket once
// a step. Where buckets are divided a rank gets the sum of its own part alone:
// a reduce-scatter, of the same bits.
class GradientReducer final : public GradientSum {
 public:
  // `buffer` and `data` outlive it; backward must run on `compute`. Ranks of
  // `data` divide buckets, where anybody does. `replicas`: those that see other
  // samples and have the same part, over which it is then summed; null: none.
  static absl::StatusOr<std::unique_ptr<GradientReducer>> Make(
      FlatBuffer& buffer, comm::Communicator& data, const ParameterUses& uses,
      Stream& compute, comm::Communicator* replicas = nullptr);

 private:
  GradientReducer(FlatBuffer& buffer, comm::Communicator& data,
                  comm::Communicator* replicas, Stream& compute)
      : GradientSum(buffer, compute, Round::kStep),
        data_(data),
        replicas_(replicas) {}

  absl::Status Start(const Turn& turn) override;

  comm::Communicator& data_;
  comm::Communicator* replicas_;
};

}  // namespace eisbach::parallel
