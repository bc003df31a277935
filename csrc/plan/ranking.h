#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "plan/forecast.h"
#include "plan/hardware.h"
#include "plan/run_cost.h"

namespace eisbach::plan {

enum class RankBy : uint8_t {
  kTime,    // seconds of a step
  kCost,    // device hours of the run
  kEnergy,  // MWh of the run
};

// What makes one layout better than another.
struct Ranking {
  RankBy by = RankBy::kTime;
  // Of the run; `devices` is the layout's.
  RunConditions run{};
  // In which the run has to end, failures and all; 0: whenever.
  double most_hours = 0;
};

// InvalidArgument where the machine does not tell what `ranking` asks for, or
// most_hours is no time.
absl::Status Check(const Ranking& ranking, const Hardware& hardware);

// InvalidArgument where `ranking` counts the whole run and that never ends, so
// that nothing is better than anything else.
absl::Status CheckEnds(int64_t devices, const StepUse& step,
                       const Ranking& ranking, const Hardware& hardware);

// The whole run on so many devices.
RunCost CostOn(int64_t devices, const StepUse& step, const Ranking& ranking,
               const Hardware& hardware);

// What is least for the best layout. Grows with what a step takes: that of the
// least that a step can take is not above that of any step.
double Score(int64_t devices, const StepUse& step, const Ranking& ranking,
             const Hardware& hardware);

// The most seconds that a step may take for a score of at most `most`; at the
// least it takes `least`, and the score grows evenly with the seconds from
// there.
double MostSeconds(int64_t devices, const StepUse& least, double most,
                   const Ranking& ranking, const Hardware& hardware);

// Whether the run is over in time.
bool InTime(int64_t devices, const StepUse& step, const Ranking& ranking,
            const Hardware& hardware);

// Seconds of a step, from and to: forecasts of nine of ten steps were so near
// (Accuracy). Without accuracy both are the forecast.
struct Range {
  double low = 0;
  double high = 0;
};
Range StepRange(double seconds, const Hardware& hardware);

}  // namespace eisbach::plan
