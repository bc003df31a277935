#pragma once

#include <cstdint>

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
  double hours = 0;   // from start to end, failures and all
  double device_hours = 0;
  double watts = 0;           // of a device while it trains
  double megawatt_hours = 0;  // of the site
  double co2_tonnes = 0;
};

// The interval is J. T. Daly's optimum, "A higher order estimate of the optimum
// checkpoint interval for restart dumps" (2006), equation 37, and the time his
// equation 20, with delta the stall of a save and R the restart and what a save
// on its way makes older. A device draws busy_watts while it computes and
// idle_watts while it waits. All of it grows with what a step takes.
RunCost CostOfRun(const StepUse& step, const Hardware& hardware,
                  const RunConditions& conditions);

}  // namespace eisbach::plan
