// GPipe: all forwards, then all backwards in the same order. Keeps the
// activations of every micro-batch; idle for (stages - 1) of (micro-batches +
// stages - 1) slots.
// Huang et al., "GPipe: Efficient Training of Giant Neural Networks using
// Pipeline Parallelism", NeurIPS 2019.
//
// Each exchange sends what the last action made and receives what the action
// after the next one needs, so both run behind the next action.

#include "core/status_macros.h"
#include "parallel/pipeline/schedules/list_builder.h"

namespace eisbach::parallel {
namespace {

absl::StatusOr<ActionList> GPipe(const ScheduleShape& shape, int stage) {
  EISBACH_RETURN_IF_ERROR(CheckOneChunk("gpipe", shape));
  const int n = shape.microbatches;
  ListBuilder list(shape, stage);
  list.ReceiveForward(0).Exchange();
  for (int m = 0; m < n; ++m) {
    list.SendForward(m - 1).ReceiveForward(m + 1).Exchange().Forward(m);
  }
  list.SendForward(n - 1).ReceiveBackward(0).Exchange();
  for (int m = 0; m < n; ++m) {
    list.SendBackward(m - 1).ReceiveBackward(m + 1).Exchange().Backward(m);
  }
  list.SendBackward(n - 1);
  return list.Finish();
}

const bool gpipe_registered = RegisterSchedule("gpipe", &GPipe);

}  // namespace
}  // namespace eisbach::parallel
