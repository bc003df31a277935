// ZB-V: two chunks a stage in a V, the first down the pipeline and the second
// back up, so a micro-batch ends where it began and its backward starts at
// once; backwards in halves. Where forward, input half and weight half take
// the same time, idle for (stages - 1) / 2 of a stage's forwards and no more
// activations than 1F1B, (stages) micro-batches of a whole stage, on every
// stage alike.
// Qi et al., "Pipeline Parallelism with Controllable Memory", NeurIPS 2024.

#include <algorithm>

#include "parallel/pipeline/schedules/stage_order.h"

namespace eisbach::parallel {
namespace {

ActionList ZbV(const ScheduleShape& shape, int stage) {
  const int behind = shape.stages - stage;  // stages from this one on
  // The order needs so many to fill the V; it is that of fewer, too.
  const int n = std::max(shape.microbatches, 2 * shape.stages - 1);
  StageOrder order(shape);
  const auto whole_backward = [&](int chunk) {
    order.BackwardInput(chunk);
    order.BackwardWeight(chunk);
  };
  for (int i = 0; i < 2 * behind - 1; ++i) order.Forward(0);
  for (int i = 0; i < stage; ++i) {
    order.Forward(1);
    order.Forward(0);
  }
  for (int i = 0; i < behind; ++i) {
    order.Forward(1);
    whole_backward(1);
  }
  while (order.forwards(1) < n) {
    if (order.forwards(0) < n) order.Forward(0);
    whole_backward(0);
    order.Forward(1);
    whole_backward(1);
  }
  for (int i = 0; i < stage; ++i) {
    order.BackwardInput(0);
    order.BackwardInput(1);
  }
  for (int i = 0; i < behind; ++i) whole_backward(0);
  for (int i = 0; i < stage; ++i) order.BackwardWeight(1);
  for (int i = 0; i < stage; ++i) order.BackwardWeight(0);
  return order.Take();
}

const bool zb_v_registered =
    RegisterSchedule("zb_v", &ZbV, {2, 2}, Placement::kV);

}  // namespace
}  // namespace eisbach::parallel
