#include "optim/sgd.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::optim {

absl::Status Sgd::Validate(const OptimizerConfig& config, DType) {
  if (!(config.momentum >= 0 && config.momentum < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("momentum=", config.momentum,
                     " is outside [0, 1) (optimizer.momentum)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Optimizer>> Sgd::Make(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
    MatrixRanks*) {
  std::unique_ptr<Sgd> optimizer(new Sgd(config));
  std::vector<StateName> names;
  if (config.momentum > 0) names.push_back({"m"});
  EISBACH_RETURN_IF_ERROR(optimizer->Init(buffer, names, config, stream));
  return optimizer;
}

absl::Status Sgd::Apply(const StepState& state, Stream& stream) {
  for (const Range& range : ranges()) {
    EISBACH_RETURN_IF_ERROR(
        ops::Sgd({.master = range.master,
                  .grad = range.grad,
                  .m = range.state.empty() ? nullptr : &range.state[0],
                  .data = range.data,
                  .step_state = state.values(),
                  .momentum = momentum_,
                  .weight_decay = range.weight_decay,
                  .rate_factor = range.rate_factor},
                 stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::optim
