#pragma once

#include <memory>

#include "optim/optimizer.h"

namespace eisbach::optim {

// AdamW; see ops/optimizer.h. State: "m" and "v", the two moments.
class AdamW final : public Optimizer {
 public:
  static absl::Status Validate(const OptimizerConfig& config,
                               DType compute_dtype);
  // `config` is valid.
  static absl::StatusOr<std::unique_ptr<Optimizer>> Make(
      const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
      MatrixRanks* ranks);

  absl::Status RefreshData(const StepState& state, Stream& stream) override;

 protected:
  absl::Status Apply(const StepState& state, Stream& stream) override;

 private:
  explicit AdamW(const OptimizerConfig& config);

  ops::StochasticRounding RoundingOf(const Range& range,
                                     const StepState& state) const;

  const double beta1_, beta2_;
  const float eps_;
  const bool stochastic_rounding_;
  const uint64_t seed_;
};

}  // namespace eisbach::optim
