#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/world.h"
#include "device/recorder.h"
#include "train/engine.h"

// What this machine's CPU takes for what training gives it, for calibrate.h.
// Each rank of a world measures while all others do the same, so that cores,
// caches and memory are shared as in training. Figures are means over the
// ranks, the same on all of them. All functions are collective.
namespace eisbach::plan {

// One op and the seconds of it.
struct OpSample {
  std::string name;
  OpCost cost{};
  double seconds = 0;
};

// The ops of one step in their order, and the seconds in which it ran none:
// those of the host, and of `moves`, copies and zeros, whose seconds nobody
// knows.
struct StepSample {
  // What tells its model and batch from others, whatever type it computes in.
  std::string model;
  std::vector<OpSample> ops;
  std::vector<OpSample> moves;
  double rest = 0;
  // Of the median step, by how much one of the slowest quarter was slower, on
  // the rank where that is most: what something else on this machine took. A
  // single slow step changes no median.
  double spread = 0;
};

// Steps of a configuration on each rank alone, as if it had no others. Medians
// over a few steps. InvalidArgument as Engine::Validate.
absl::StatusOr<StepSample> MeasureStep(comm::World& world,
                                       const train::EngineConfig& config);

// What devices tell nobody but the planner: "copy" and "set_zero", from some
// bytes to more than the caches hold.
absl::StatusOr<std::vector<OpSample>> MeasureMoves(comm::World& world);

// One collective of all ranks and the seconds of the slowest.
struct CollectiveSample {
  std::string name;
  double bytes = 0;  // as CollectiveCost has them
  int ranks = 1;
  // Whether the tensors lie where the other ranks reach them (AllocateShared),
  // as gradients and divided weights do.
  bool shared = false;
  double seconds = 0;
};

// From some bytes to 16 MiB; nothing in a world of one.
absl::StatusOr<std::vector<CollectiveSample>> MeasureCollectives(
    comm::World& world);

}  // namespace eisbach::plan
