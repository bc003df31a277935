#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "parallel/pipeline/action.h"

namespace eisbach::parallel {

// Which part of the model, counted in layer order, a chunk of a stage is.
enum class Placement : uint8_t {
  kRound,  // chunk c of stage s is part c*stages + s
  kV,      // odd chunks run back: c*stages + (stages - 1 - s)
};

struct ScheduleShape {
  int stages;
  int chunks;  // model chunks a stage
  int microbatches;
  Placement placement = Placement::kRound;
};

// What each stage does in one training step. Plain data: the executor runs it,
// the simulator times it, a plot draws it.
struct Schedule {
  std::string name;
  ScheduleShape shape;
  std::vector<ActionList> stages;  // one list a stage
};

// InvalidArgument for an unknown name (lists the known ones), a size below 1,
// or chunks that the schedule cannot run. The placement is the schedule's.
absl::StatusOr<Schedule> MakeSchedule(absl::string_view name, int stages,
                                      int chunks, int microbatches);
// Its shape alone; the same errors.
absl::StatusOr<ScheduleShape> ShapeOfSchedule(absl::string_view name,
                                              int stages, int chunks,
                                              int microbatches);

// What stage `stage` computes, in its order: no exchanges and reductions.
// InvalidArgument for an unknown name.
absl::StatusOr<ActionList> OrderOfStage(absl::string_view name,
                                        const ScheduleShape& shape, int stage);

std::vector<std::string> ScheduleNames();  // sorted

// A line for each stage: "stage 0: F0 {a0>1} ...".
std::string ToString(const Schedule& schedule);

// How many model chunks a stage may hold.
struct ChunkLimits {
  int least = 1;
  int most = std::numeric_limits<int>::max();
};
// InvalidArgument for an unknown name.
absl::StatusOr<ChunkLimits> ChunksOf(absl::string_view name);

// What makes a schedule: in which order one stage does its forwards and
// backwards, whole or in halves. Exchanges and reductions are put between them
// by PlaceExchanges. A pure function of its arguments, which are in range.
using OrderFunction = ActionList (*)(const ScheduleShape& shape, int stage);

// Called from a static initialiser of each file in schedules/.
bool RegisterSchedule(absl::string_view name, OrderFunction order,
                      ChunkLimits chunks,
                      Placement placement = Placement::kRound);

}  // namespace eisbach::parallel
