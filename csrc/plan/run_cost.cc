#include "plan/run_cost.h"

#include <algorithm>
#include <cmath>

namespace eisbach::plan {
namespace {

constexpr double kHour = 3600;

double BestInterval(double stall, double between) {
  if (stall >= 2 * between) return between;
  const double ratio = stall / (2 * between);
  return std::sqrt(2 * stall * between) *
             (1 + std::sqrt(ratio) / 3 + ratio / 9) -
         stall;
}

}  // namespace

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
    seconds = between * std::exp(lost / between) *
              std::expm1((cost.save_every + stall) / between) * work /
              cost.save_every;
    cost.useful = work / seconds;
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

}  // namespace eisbach::plan
