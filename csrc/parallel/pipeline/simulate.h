#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// Seconds for one micro-batch on one stage (a chunk of it, if it has several).
struct StageTimes {
  double forward;
  double backward;  // both halves
  double backward_input;
  double backward_weight;
};

struct SimulationTimes {
  // One a stage, or one for each of its chunks, stage by stage.
  std::vector<StageTimes> stages;
  double transfer;  // of one activation or gradient
};

// When an action of the list ran. For an exchange: from when it could start
// until its last transfer was over.
struct Interval {
  int action;  // index in the stage's list
  double begin;
  double end;
};

struct StageTimeline {
  std::vector<Interval> compute;
  std::vector<Interval> exchanges;
  double busy_seconds;   // spent in compute
  int peak_activations;  // (micro-batch, chunk) pairs forward but not backward
};

struct Simulation {
  std::vector<StageTimeline> stages;
  double seconds;          // until the last action of all stages is over
  double bubble_fraction;  // share of stages x seconds spent without compute
};

// Runs a schedule as the executor would, on given times and without ranks.
//
// A stage has one compute lane and one exchange lane, both in list order. A
// compute action waits for the whole exchange that holds what it receives. An
// exchange may start when the stage has reached it in its list and the one
// before it is over. A transfer starts when both partners' exchanges have
// started: nothing is buffered (zero-buffer rendezvous), the strictest that a
// communicator may be, so what passes here deadlocks nowhere.
//
// FailedPrecondition when CheckSchedule fails or when all stages wait; the
// message then says what each stage waits for. InvalidArgument for times of
// another number of stages or chunks, or that are negative or not finite.
absl::StatusOr<Simulation> Simulate(const Schedule& schedule,
                                    const SimulationTimes& times);

// All stages alike, and a backward that costs twice a forward.
SimulationTimes EqualStages(int stages, double forward, double transfer);

// All stages alike, each of its chunks an equal share of `whole`: what all of
// them together take, so that schedules with other chunks can be compared.
SimulationTimes EqualShares(const ScheduleShape& shape, const StageTimes& whole,
                            double transfer);

}  // namespace eisbach::parallel
