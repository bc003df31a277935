#pragma once

#include "comm/communicator.h"
#include "nn/linear.h"

namespace eisbach::parallel {

// A linear layer whose output columns are divided among the group: `options`
// names the pieces of this rank. x is whole on every rank, y is this rank's
// part. Backward sums the gradient of x.
class ColumnParallelLinear final : public nn::Projection {
 public:
  ColumnParallelLinear(const nn::LinearOptions& options,
                       comm::Communicator& group)
      : linear_(options), group_(group) {}

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const nn::ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    linear_.VisitParameters(visit);
  }

 private:
  nn::Linear linear_;
  comm::Communicator& group_;
};

// A linear layer whose input features are divided among the group: x is this
// rank's part, y is summed and whole on every rank. The bias is on every rank;
// the first adds it (`options.shared_bias`).
class RowParallelLinear final : public nn::Projection {
 public:
  RowParallelLinear(const nn::LinearOptions& options, comm::Communicator& group)
      : linear_(options), group_(group) {}

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const nn::ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    linear_.VisitParameters(visit);
  }

 private:
  nn::Linear linear_;
  comm::Communicator& group_;
};

}  // namespace eisbach::parallel
