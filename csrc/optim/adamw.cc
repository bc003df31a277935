#include "optim/adamw.h"

#include "absl/strings/str_cat.h"
#include "core/fits_f32.h"
#include "core/hash.h"
#include "core/status_macros.h"

namespace eisbach::optim {

AdamW::AdamW(const OptimizerConfig& config)
    : beta1_(config.beta1),
      beta2_(config.beta2),
      eps_(static_cast<float>(config.eps)),
      stochastic_rounding_(config.stochastic_rounding),
      seed_(MixBits(config.seed ^ StableHash("stochastic_rounding"))) {}

absl::Status AdamW::Validate(const OptimizerConfig& config,
                             DType compute_dtype) {
  EISBACH_RETURN_IF_ERROR(CheckBetas(config));
  if (!(config.eps > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("eps=", config.eps, " is not above 0 (optimizer.eps)"));
  }
  if (config.stochastic_rounding && compute_dtype != DType::kBF16) {
    return absl::InvalidArgumentError(
        absl::StrCat("stochastic rounding is of weights in bf16, not ",
                     Name(compute_dtype), " (optimizer.stochastic_rounding)"));
  }
  return CheckFitsF32("eps", config.eps, "optimizer.eps");
}

absl::StatusOr<std::unique_ptr<Optimizer>> AdamW::Make(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
    MatrixRanks*) {
  std::unique_ptr<AdamW> optimizer(new AdamW(config));
  EISBACH_RETURN_IF_ERROR(
      optimizer->Init(buffer, {{"m"}, {"v"}}, config, stream));
  return optimizer;
}

absl::Status AdamW::Apply(const StepState& state, Stream& stream) {
  for (const Range& range : ranges()) {
    const ops::StochasticRounding rounding = RoundingOf(range, state);
    EISBACH_RETURN_IF_ERROR(
        ops::AdamW({.master = range.master,
                    .grad = range.grad,
                    .m = range.state[0],
                    .v = range.state[1],
                    .data = range.data,
                    .step_state = state.values(),
                    .beta1 = beta1_,
                    .beta2 = beta2_,
                    .eps = eps_,
                    .weight_decay = range.weight_decay,
                    .rate_factor = range.rate_factor,
                    .rounding = stochastic_rounding_ ? &rounding : nullptr},
                   stream));
  }
  return absl::OkStatus();
}

absl::Status AdamW::RefreshData(const StepState& state, Stream& stream) {
  if (!stochastic_rounding_) return Optimizer::RefreshData(state, stream);
  for (const Range& range : ranges()) {
    EISBACH_RETURN_IF_ERROR(ops::RoundStochastically(
        range.master, range.data, RoundingOf(range, state), stream));
  }
  return absl::OkStatus();
}

ops::StochasticRounding AdamW::RoundingOf(const Range& range,
                                          const StepState& state) const {
  return {.step = state.step(),
          .key = MixBits(seed_ ^ range.bucket),
          .first = range.offset};
}

}  // namespace eisbach::optim
