#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ops/spike.h"
#include "optim/step_state.h"
#include "tensor/tensor.h"

namespace eisbach::optim {

// What a run does with a step that is bad (see ops/spike.h).
enum class OnSpike {
  kStop,
  kSkip,   // makes no update, and goes on
  kRerun,  // computes it once more; where that gives the same bits: kSkip
};

absl::string_view Name(OnSpike on_spike);  // "stop", "skip", "rerun"
// InvalidArgument for another word; it lists these.
absl::StatusOr<OnSpike> ParseOnSpike(absl::string_view name);

struct SpikeConfig {
  OnSpike on_spike = OnSpike::kStop;
  ops::SpikeRule rule;
  int most_skips = 3;  // in a row; one more is an error

  // Whether there is anything to judge but a norm that is not finite, which
  // stops without being judged.
  bool judges() const {
    return on_spike != OnSpike::kStop || rule.deviations > 0;
  }
};

// Messages name the key and the bound.
absl::Status Validate(const SpikeConfig& config);

// What the next step is judged by, for a checkpoint.
struct SpikeHistory {
  std::vector<double> losses;  // of the last good steps, the oldest first
  std::vector<double> norms;   // as many
  int in_a_row = 0;            // steps skipped since
  int64_t skipped = 0;         // in all

  friend bool operator==(const SpikeHistory&, const SpikeHistory&) = default;
};

// Judges steps on the device before they change a weight; its memory of the
// good ones lies there.
class StepGuard {
 public:
  static absl::StatusOr<StepGuard> Make(const SpikeConfig& config,
                                        Stream& stream);

  // Between ops::ClipFactor and the optimizer, see ops::JudgeStep. `verdict` is
  // f64 [ops::kVerdictSize].
  absl::Status Judge(const Tensor& norm_squared, const Tensor& losses,
                     const ops::CountedTokens& tokens, bool loss_scaled,
                     const StepState& state, const Tensor& verdict,
                     Stream& stream);
  // Last in the step.
  absl::Status End(const StepState& state, const Tensor& verdict,
                   Stream& stream);

  // Whether bad steps are skipped from now on, up to most_skips in a row, or
  // the next one is void. At first as the configuration says, kRerun void.
  // Waits for the stream.
  absl::Status SetSkips(bool skips, Stream& stream);

  // Both wait for the stream. Of a longer history the newest steps count.
  absl::StatusOr<SpikeHistory> Read(Stream& stream) const;
  absl::Status Restore(const SpikeHistory& history, Stream& stream);

  const SpikeConfig& config() const { return config_; }

 private:
  explicit StepGuard(const SpikeConfig& config) : config_(config) {}

  absl::Status Write(const std::vector<double>& values, Stream& stream);
  absl::StatusOr<std::vector<double>> ReadState(Stream& stream) const;

  SpikeConfig config_;
  Tensor state_;  // f64 [SpikeStateSize]
};

}  // namespace eisbach::optim
