// GPipe: all forwards, then all backwards in the same order. Keeps the
// activations of every micro-batch; idle for (stages - 1) of (micro-batches +
// stages - 1) slots.
// Huang et al., "GPipe: Efficient Training of Giant Neural Networks using
// Pipeline Parallelism", NeurIPS 2019.

#include "parallel/pipeline/schedules/stage_order.h"

namespace eisbach::parallel {
namespace {

ActionList GPipe(const ScheduleShape& shape, int) {
  StageOrder order(shape);
  for (int m = 0; m < shape.microbatches; ++m) order.Forward(0);
  for (int m = 0; m < shape.microbatches; ++m) order.Backward(0);
  return order.Take();
}

const bool gpipe_registered = RegisterSchedule("gpipe", &GPipe, {.most = 1});

}  // namespace
}  // namespace eisbach::parallel
