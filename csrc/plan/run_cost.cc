#include "plan/run_cost.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace eisbach::plan {
namespace {

constexpr double kHour = 3600;
// Less than this of the time, and a run makes no headway.
constexpr double kLeastUseful = 1e-6;

double BestInterval(double stall, double between) {
  if (stall >= 2 * between) return between;
  const double ratio = stall / (2 * between);
  return std::sqrt(2 * stall * between) *
             (1 + std::sqrt(ratio) / 3 + ratio / 9) -
         stall;
}

}  // namespace

std::string SpellTime(double seconds) {
  const double hours = seconds / kHour;
  if (hours < 1) return absl::StrFormat("%.3g s", seconds);
  return hours < 1e6 ? absl::StrFormat("%.2f h", hours)
                     : absl::StrFormat("%.3g h", hours);
}

StepUse UseOf(const Forecast& step) {
  const Busy busy = step.busy();
  return {step.seconds, busy.products + busy.attention + busy.other_ops};
}

RunCost CostOfRun(const StepUse& step, const Hardware& hardware,
                  const RunConditions& conditions) {
  RunCost cost;
  const double devices = static_cast<double>(conditions.devices);
  const double work = step.seconds * static_cast<double>(conditions.steps);
  double seconds = work;
  if (hardware.hours_between_failures > 0) {
    cost.hours_between_failures = hardware.hours_between_failures / devices;
    const double between = cost.hours_between_failures * kHour;
    const double stall = std::max(conditions.save_stall, 1e-3);
    cost.save_every = std::max(BestInterval(stall, between), conditions.save);
    const double lost = conditions.restart + conditions.save;
    cost.useful =
        cost.save_every / (between * std::exp(lost / between) *
                           std::expm1((cost.save_every + stall) / between));
    if (!(cost.useful >= kLeastUseful)) cost.useful = 0;  // NaN: it overflows
    seconds = work / cost.useful;
  }
  cost.hours = seconds / kHour;
  cost.device_hours = cost.hours * devices;
  const double computes = std::min(1.0, step.computing / step.seconds);
  cost.watts = hardware.idle_watts +
               (hardware.busy_watts - hardware.idle_watts) * computes;
  cost.megawatt_hours =
      cost.device_hours * cost.watts * hardware.site_factor / 1e6;
  cost.co2_tonnes = cost.megawatt_hours * conditions.grid;
  return cost;
}

std::string WhyItNeverEnds(const RunCost& cost,
                           const RunConditions& conditions) {
  return absl::StrFormat(
      "a failure every %s, after one %s until training goes on, and %s for a "
      "checkpoint",
      SpellTime(cost.hours_between_failures * kHour),
      SpellTime(conditions.restart + conditions.save),
      SpellTime(conditions.save_stall));
}

}  // namespace eisbach::plan
