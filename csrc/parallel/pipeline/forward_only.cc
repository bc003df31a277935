#include "parallel/pipeline/forward_only.h"

#include <utility>
#include <vector>

#include "core/status_macros.h"
#include "parallel/pipeline/place_exchanges.h"

namespace eisbach::parallel {

absl::StatusOr<Schedule> ForwardOnly(ScheduleShape shape, int microbatches) {
  shape.microbatches = microbatches;
  ActionList order;
  for (int c = 0; c < shape.chunks; ++c) {
    for (int m = 0; m < microbatches; ++m) {
      order.push_back({ActionKind::kForward, m, c});
    }
  }
  Schedule schedule{"forward_only", shape, {}};
  EISBACH_ASSIGN_OR_RETURN(
      schedule.stages,
      PlaceExchanges(shape, std::vector<ActionList>(shape.stages, order)));
  return schedule;
}

}  // namespace eisbach::parallel
