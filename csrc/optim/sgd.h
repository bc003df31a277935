#pragma once

#include <memory>

#include "optim/optimizer.h"

namespace eisbach::optim {

// Stochastic gradient descent; see ops/optimizer.h. State: "m", the velocity,
// only with momentum. Weight decay is added to the gradient.
class Sgd final : public Optimizer {
 public:
  static absl::Status Validate(const OptimizerConfig& config,
                               DType compute_dtype);
  // `config` is valid.
  static absl::StatusOr<std::unique_ptr<Optimizer>> Make(
      const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
      MatrixRanks* ranks);

 protected:
  absl::Status Apply(const StepState& state, Stream& stream) override;

 private:
  explicit Sgd(const OptimizerConfig& config) : momentum_(config.momentum) {}

  const double momentum_;
};

}  // namespace eisbach::optim
