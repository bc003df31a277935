#pragma once

#include <memory>
#include <utility>

#include "comm/communicator.h"
#include "nn/module.h"

namespace eisbach::parallel {

// A linear layer whose output columns are divided among the group: `local` has
// the pieces of this rank. x is whole on every rank, y is this rank's part.
// Backward sums the gradient of x.
class ColumnParallelLinear final : public nn::Projection {
 public:
  ColumnParallelLinear(std::unique_ptr<nn::Projection> local,
                       comm::Communicator& group)
      : local_(std::move(local)), group_(group) {}

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const nn::ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    local_->VisitParameters(visit);
  }
  void VisitRandom(const NameVisitor& visit) override {
    local_->VisitRandom(visit);
  }

 private:
  std::unique_ptr<nn::Projection> local_;
  comm::Communicator& group_;
};

// A linear layer whose input features are divided among the group: x is this
// rank's part, and what `local` makes of it is summed, so that y is whole on
// every rank. The bias is on every rank; the first adds it
// (nn::LinearOptions::shared_bias).
class RowParallelLinear final : public nn::Projection {
 public:
  RowParallelLinear(std::unique_ptr<nn::Projection> local,
                    comm::Communicator& group)
      : local_(std::move(local)), group_(group) {}

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const nn::ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    local_->VisitParameters(visit);
  }
  void VisitRandom(const NameVisitor& visit) override {
    local_->VisitRandom(visit);
  }

 private:
  std::unique_ptr<nn::Projection> local_;
  comm::Communicator& group_;
};

}  // namespace eisbach::parallel
