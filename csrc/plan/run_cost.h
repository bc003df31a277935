#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "plan/forecast.h"
#include "plan/hardware.h"

namespace eisbach::plan {

// What a whole run is like beside its steps.
struct RunConditions {
  int64_t steps = 1;
  int64_t devices = 1;
  // Seconds that training stands still for a checkpoint, seconds until it is
  // complete on disk, and seconds from a fault to the first step after it.
  double save_stall = 1;
  double save = 60;
  double restart = 300;
  // Of the grid, kg of CO2 for a kWh.
  double grid = 0;
};

// What a step takes of a device.
struct StepUse {
  double seconds = 0;
  double computing = 0;  // of them, seconds in which it computes

  StepUse operator*(double factor) const {
    return {seconds * factor, computing * factor};
  }
};

StepUse UseOf(const Forecast& step);

struct RunCost {
  // Mean hours between failures of the job; 0: nobody knows how often devices
  // fail, and they are taken not to.
  double hours_between_failures = 0;
  // Seconds between checkpoints that lose least; 0: nothing is lost.
  double save_every = 0;
  double useful = 1;  // share of the time that trains what lasts
  // From start to end, failures and all. Infinite where less than a millionth
  // of the time is useful: it never ends, and what follows means nothing.
  double hours = 0;
  double device_hours = 0;
  double watts = 0;           // of a device while it trains
  double megawatt_hours = 0;  // of the site
  double co2_tonnes = 0;

  bool ends() const { return std::isfinite(hours); }
};

// The interval is J. T. Daly's optimum, "A higher order estimate of the optimum
// checkpoint interval for restart dumps" (2006), equation 37, and the time his
// equation 20, with delta the stall of a save and R the restart and what a save
// on its way makes older. A device draws busy_watts while it computes and
// idle_watts while it waits. All of it grows with what a step takes.
RunCost CostOfRun(const StepUse& step, const Hardware& hardware,
                  const RunConditions& conditions);

// As in "4.56 s" and "12.34 h".
std::string SpellTime(double seconds);

// Why a run never ends, as in "a failure every 2 s, after one 360 s until
// training goes on, and 1 s for a checkpoint".
std::string WhyItNeverEnds(const RunCost& cost,
                           const RunConditions& conditions);

}  // namespace eisbach::plan
