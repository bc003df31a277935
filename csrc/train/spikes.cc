#include "train/spikes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "device/machine.h"
#include "train/gather_json.h"

namespace eisbach::train {
namespace {

using ops::BadStep;

constexpr size_t kMostNamed = 4;

// One NaN is as good as another.
bool SameBits(const double* a, const double* b, size_t count) {
  return std::equal(a, a + count, b, [](double x, double y) {
    return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y) ||
           (std::isnan(x) && std::isnan(y));
  });
}

// The ranks that have summed the gradient that `rank` holds.
std::string Summands(int rank, const parallel::ParallelContext& context) {
  const std::vector<int> ranks =
      context.mesh().Group(rank, {Axis::kData, Axis::kContext});
  return ranks.size() == 1 ? ""
                           : absl::StrCat(", the sum of those of ranks ",
                                          absl::StrJoin(ranks, ", "));
}

}  // namespace

absl::string_view CauseOf(const StepResult& result) {
  switch (result.spike.bad) {
    case BadStep::kNone:
      return result.skipped ? "gradient_overflow" : "";
    case BadStep::kLossNotFinite:
      return "loss_not_finite";
    case BadStep::kNormNotFinite:
      return "grad_norm_not_finite";
    case BadStep::kLossSpike:
      return "loss_spike";
    case BadStep::kNormSpike:
      return "grad_norm_spike";
  }
  return "";
}

std::string SpikeText(const StepResult& result,
                      const optim::SpikeConfig& config) {
  const BadStep bad = result.spike.bad;
  const bool loss =
      bad == BadStep::kLossNotFinite || bad == BadStep::kLossSpike;
  const std::string value = loss ? absl::StrCat("loss=", result.loss)
                                 : absl::StrCat("grad_norm=", result.grad_norm);
  switch (bad) {
    case BadStep::kNone:
      return result.skipped
                 ? absl::StrCat("gradient overflow at loss scale ",
                                static_cast<int64_t>(result.loss_scale),
                                ", halved")
                 : "";
    case BadStep::kLossNotFinite:
    case BadStep::kNormNotFinite:
      return absl::StrCat(value, " is not finite");
    case BadStep::kLossSpike:
    case BadStep::kNormSpike:
      break;
  }
  return absl::StrCat(value, " is above ", result.spike.limit, ", which is ",
                      config.rule.deviations,
                      " deviations above the median of the last ",
                      config.rule.window, " good steps, ", result.spike.median,
                      " (fault.spike_deviations)");
}

absl::Status SpikeError(const StepResult& result,
                        const optim::SpikeConfig& config) {
  const bool skips = config.on_spike != optim::OnSpike::kStop;
  const std::string before =
      skips ? absl::StrCat(", after ", config.most_skips,
                           " skipped in a row (fault.most_skips)")
            : "";
  return absl::AbortedError(absl::StrCat(
      "step ", result.step, before, ": ", SpikeText(result, config),
      "; weights are as before the step. To go on from there: ",
      skips ? "an older checkpoint with other data or a lower optimizer.lr"
            : "the same command with --auto-resume and fault.on_spike=skip, "
              "which leaves the step out, or a larger fault.spike_deviations"));
}

absl::StatusOr<RerunBits> CompareRuns(
    const std::vector<double>& first, const std::vector<double>& second,
    const parallel::ParallelContext& context) {
  const size_t half = first.size() / 2;  // of all ranks, then of this one
  const double* a = first.data() + half;
  const double* b = second.data() + half;
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<nlohmann::json> ranks,
      GatherJson({{"host", HostName()},
                  {"sums", !SameBits(first.data(), second.data(), half)},
                  {"norm", !SameBits(a, b, 1)},
                  {"losses", !SameBits(a + 1, b + 1, half - 1)}},
                 context.world()));
  // A loss tells more than the gradient, which ranks have summed.
  const bool by_loss = std::any_of(
      ranks.begin(), ranks.end(),
      [](const nlohmann::json& told) -> bool { return told["losses"]; });
  RerunBits bits;
  std::vector<std::string> where;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const nlohmann::json& told = ranks[rank];
    const bool losses = told["losses"], norm = told["norm"];
    if (told["sums"] || losses || norm) bits.same = false;
    if (by_loss ? !losses : !norm) continue;
    const int number = static_cast<int>(rank);
    where.push_back(absl::StrCat(
        "rank ", rank, " (", told["host"].get<std::string>(), ") in ",
        losses ? "the loss of its samples"
               : absl::StrCat("its gradient", Summands(number, context))));
  }
  if (where.size() > kMostNamed) {
    const size_t more = where.size() - kMostNamed;
    where.resize(kMostNamed);
    where.push_back(absl::StrCat(more, " more"));
  }
  bits.where = absl::StrJoin(where, ", ");
  return bits;
}

}  // namespace eisbach::train
