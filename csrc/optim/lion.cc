#include "optim/lion.h"

#include "core/status_macros.h"
#include "ops/lion.h"

namespace eisbach::optim {

absl::Status Lion::Validate(const OptimizerConfig& config, DType) {
  return CheckBetas(config);
}

absl::StatusOr<std::unique_ptr<Optimizer>> Lion::Make(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
    MatrixRanks*) {
  std::unique_ptr<Lion> optimizer(new Lion(config));
  EISBACH_RETURN_IF_ERROR(optimizer->Init(buffer, {{"m"}}, config, stream));
  return optimizer;
}

absl::Status Lion::Apply(const StepState& state, Stream& stream) {
  for (const Range& range : ranges()) {
    EISBACH_RETURN_IF_ERROR(ops::Lion({.master = range.master,
                                       .grad = range.grad,
                                       .m = range.state[0],
                                       .data = range.data,
                                       .step_state = state.values(),
                                       .beta1 = beta1_,
                                       .beta2 = beta2_,
                                       .weight_decay = range.weight_decay,
                                       .rate_factor = range.rate_factor},
                                      stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::optim
