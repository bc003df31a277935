#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "parallel/pipeline/action.h"

namespace eisbach::parallel {

struct ScheduleShape {
  int stages;
  int chunks;  // model chunks a stage; chunk c of stage s is part c*stages + s
  int microbatches;
};

// What each stage does in one training step. Plain data: the executor runs it,
// the simulator times it, a plot draws it.
struct Schedule {
  std::string name;
  ScheduleShape shape;
  std::vector<ActionList> stages;  // one list a stage
};

// InvalidArgument for an unknown name (lists the known ones), a size below 1,
// or a shape that the schedule cannot run.
absl::StatusOr<Schedule> MakeSchedule(absl::string_view name, int stages,
                                      int chunks, int microbatches);

std::vector<std::string> ScheduleNames();  // sorted

// A line for each stage: "stage 0: F0 {a0>1} ...".
std::string ToString(const Schedule& schedule);

// The list of one stage; a pure function of its arguments, which are in range.
using ScheduleFunction =
    absl::StatusOr<ActionList> (*)(const ScheduleShape& shape, int stage);

// Called from a static initialiser of each file in schedules/.
bool RegisterSchedule(absl::string_view name, ScheduleFunction function);

}  // namespace eisbach::parallel
