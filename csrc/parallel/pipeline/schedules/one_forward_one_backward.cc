// 1F1B: after a warm-up of (stages - 1 - stage) forwards, a forward and a
// backward in turn, then the backwards that are left. As much idle time as
// GPipe, but activations of at most (stages - stage) micro-batches.
// Narayanan et al., "Memory-Efficient Pipeline-Parallel DNN Training", ICML
// 2021 (PipeDream-Flush).
//
// In the steady state a stage and the next meet in one exchange: activation
// forward, gradient back, both at once. Within this bound on activations no
// placement hides that exchange: from a forward through all later stages and
// back takes (stages - stage) forwards and backwards plus two transfers for
// each boundary, and just (stages - stage) micro-batches are there to fill it.
// In the warm-up, receives are posted one forward ahead and sends run behind
// the next forward.

#include <algorithm>

#include "core/status_macros.h"
#include "parallel/pipeline/schedules/list_builder.h"

namespace eisbach::parallel {
namespace {

absl::StatusOr<ActionList> OneForwardOneBackward(const ScheduleShape& shape,
                                                 int stage) {
  EISBACH_RETURN_IF_ERROR(CheckOneChunk("1f1b", shape));
  const int n = shape.microbatches;
  const int warmup = std::min(shape.stages - 1 - stage, n);
  const int steady = n - warmup;
  ListBuilder list(shape, stage);

  list.ReceiveForward(0).Exchange();
  for (int m = 0; m < warmup; ++m) {
    list.SendForward(m - 1).ReceiveForward(m + 1).Exchange().Forward(m);
  }
  list.SendForward(warmup - 1);
  if (steady == 0) list.ReceiveBackward(0);
  list.Exchange();

  for (int m = 0; m < steady; ++m) {
    list.Forward(warmup + m);
    list.SendForward(warmup + m).ReceiveBackward(m).Exchange();
    list.Backward(m);
    list.SendBackward(m);
    if (m + 1 < steady) {
      list.ReceiveForward(warmup + m + 1);
    } else {
      list.ReceiveBackward(m + 1);
    }
    list.Exchange();
  }

  for (int m = steady; m < n; ++m) {
    list.Backward(m);
    list.SendBackward(m).ReceiveBackward(m + 1).Exchange();
  }
  return list.Finish();
}

const bool one_forward_one_backward_registered =
    RegisterSchedule("1f1b", &OneForwardOneBackward);

}  // namespace
}  // namespace eisbach::parallel
