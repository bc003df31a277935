#include "plan/ranking.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace eisbach::plan {

absl::Status Check(const Ranking& ranking, const Hardware& hardware) {
  if (ranking.by == RankBy::kEnergy && !(hardware.busy_watts > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("by=energy: hardware ", hardware.name,
                     " does not say what a device draws (power.busy_watts); "
                     "nearest that works: by=cost"));
  }
  if (!(ranking.most_hours >= 0) || !std::isfinite(ranking.most_hours)) {
    return absl::InvalidArgumentError(
        absl::StrCat("deadline=", ranking.most_hours, " hours is no time"));
  }
  return absl::OkStatus();
}

absl::Status CheckEnds(int64_t devices, const StepUse& step,
                       const Ranking& ranking, const Hardware& hardware) {
  const RunCost cost = CostOn(devices, step, ranking, hardware);
  if (ranking.by == RankBy::kTime || cost.ends()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("by=", ranking.by == RankBy::kCost ? "cost" : "energy",
                   ": the run never ends: ", WhyItNeverEnds(cost, ranking.run),
                   "; nearest that works: by=time"));
}

RunCost CostOn(int64_t devices, const StepUse& step, const Ranking& ranking,
               const Hardware& hardware) {
  RunConditions conditions = ranking.run;
  conditions.devices = devices;
  return CostOfRun(step, hardware, conditions);
}

double Score(int64_t devices, const StepUse& step, const Ranking& ranking,
             const Hardware& hardware) {
  switch (ranking.by) {
    case RankBy::kTime:
      break;
    case RankBy::kCost:
      return CostOn(devices, step, ranking, hardware).device_hours;
    case RankBy::kEnergy:
      return CostOn(devices, step, ranking, hardware).megawatt_hours;
  }
  return step.seconds;
}

double MostSeconds(int64_t devices, const StepUse& least, double most,
                   const Ranking& ranking, const Hardware& hardware) {
  constexpr double kRounding = 1 + 1e-9;
  const double once = Score(devices, least, ranking, hardware);
  const double twice =
      Score(devices, {2 * least.seconds, least.computing}, ranking, hardware);
  // Of a model that cannot be made nothing is known.
  if (!(twice > once)) return std::numeric_limits<double>::infinity();
  return least.seconds * (1 + (most - once) / (twice - once)) * kRounding;
}

bool InTime(int64_t devices, const StepUse& step, const Ranking& ranking,
            const Hardware& hardware) {
  return ranking.most_hours == 0 ||
         CostOn(devices, step, ranking, hardware).hours <= ranking.most_hours;
}

Range StepRange(double seconds, const Hardware& hardware) {
  const double error = hardware.accuracy.p90;
  return {seconds / (1 + error), seconds / (1 - error)};
}

}  // namespace eisbach::plan
