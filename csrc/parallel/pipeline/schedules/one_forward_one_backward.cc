// 1F1B: after a warm-up of (stages - 1 - stage) forwards, a forward and a
// backward in turn, then the backwards that are left. As much idle time as
// GPipe, but activations of at most (stages - stage) micro-batches.
// Narayanan et al., "Memory-Efficient Pipeline-Parallel DNN Training", ICML
// 2021 (PipeDream-Flush).
//
// Within this bound on activations no placement hides all transfers: from a
// forward through all later stages and back takes (stages - stage) forwards and
// backwards plus two transfers for each boundary, and just (stages - stage)
// micro-batches are there to fill it.

#include <algorithm>

#include "parallel/pipeline/schedules/stage_order.h"

namespace eisbach::parallel {
namespace {

ActionList OneForwardOneBackward(const ScheduleShape& shape, int stage) {
  const int n = shape.microbatches;
  const int warmup = std::min(shape.stages - 1 - stage, n);
  StageOrder order(shape);
  for (int m = 0; m < warmup; ++m) order.Forward(0);
  for (int m = warmup; m < n; ++m) {
    order.Forward(0);
    order.Backward(0);
  }
  for (int m = 0; m < warmup; ++m) order.Backward(0);
  return order.Take();
}

const bool one_forward_one_backward_registered =
    RegisterSchedule("1f1b", &OneForwardOneBackward, {.most = 1});

}  // namespace
}  // namespace eisbach::parallel
