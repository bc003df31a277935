#pragma once

#include <memory>

#include "optim/optimizer.h"

namespace eisbach::optim {

// Lion; see ops/lion.h. State: "m". Its updates are signs, so its learning rate
// is 3 to 10 times below AdamW's and its weight decay as much above (section
// 5 of the paper).
class Lion final : public Optimizer {
 public:
  static absl::Status Validate(const OptimizerConfig& config, DType);
  // `config` is valid.
  static absl::StatusOr<std::unique_ptr<Optimizer>> Make(
      const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
      MatrixRanks* ranks);

 protected:
  absl::Status Apply(const StepState& state, Stream& stream) override;

 private:
  explicit Lion(const OptimizerConfig& config)
      : beta1_(config.beta1), beta2_(config.beta2) {}

  const double beta1_, beta2_;
};

}  // namespace eisbach::optim
