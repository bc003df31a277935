#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "plan/hardware.h"
#include "plan/measure.h"

namespace eisbach::plan {

// What was measured of a machine.
struct Measurements {
  std::vector<StepSample> steps;
  std::vector<OpSample> moves;
  std::vector<CollectiveSample> collectives;
  int ranks = 1;            // that measured at once: its devices
  double memory_bytes = 0;  // of each
};

// The machine on which ops and collectives take what was measured, as nearly
// as the cost model can say it (op_seconds.h, collective_seconds.h), by least
// squares of relative errors. A device is one rank with its share of all that
// ranks share. Collectives and ops take turns.
//
// Of an op's seconds a part is the host's: what is left of the steps without
// their ops and moves, in equal parts.
//
// Its accuracy is that of leaving one out (Stone 1974): the steps of each model
// are foretold on the machine that all other models describe. Those are steps
// of one rank. None is known (Accuracy::cases 0) of a single model, and where
// nine of ten are not within their own size or others describe no machine.
//
// InvalidArgument without products in f32, or moves.
absl::StatusOr<Hardware> FitHardware(const Measurements& measured,
                                     std::string name);

}  // namespace eisbach::plan
