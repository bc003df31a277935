#include "parallel/pipeline/forward_only.h"

#include <utility>

#include "core/status_macros.h"

namespace eisbach::parallel {

absl::StatusOr<Schedule> ForwardOnly(int stages, int microbatches) {
  // GPipe's forwards all come before its backwards.
  EISBACH_ASSIGN_OR_RETURN(
      Schedule schedule,
      MakeSchedule("gpipe", stages, /*chunks=*/1, microbatches));
  schedule.name = "forward_only";
  for (ActionList& list : schedule.stages) {
    ActionList kept;
    for (Action& action : list) {
      if (action.kind == ActionKind::kExchange) {
        std::erase_if(action.transfers, [](const StageTransfer& transfer) {
          return transfer.payload == Payload::kGradient;
        });
        if (action.transfers.empty()) continue;
      } else if (action.kind != ActionKind::kForward) {
        continue;
      }
      kept.push_back(std::move(action));
    }
    list = std::move(kept);
  }
  return schedule;
}

}  // namespace eisbach::parallel
