// DualPipeV: two chunks a stage in a V, a forward of one chunk beside a
// backward of the other; backwards in halves while the pipeline fills and
// drains. Made to run each such pair as one, which hides transfers inside
// layers (experts' all-to-all); here a pair runs one after the other. At most
// (stages + 1/2) micro-batches' activations of a whole stage.
// DeepSeek-AI, github.com/deepseek-ai/DualPipe, dualpipe/dualpipev.py, whose
// eight steps these are.

#include <algorithm>

#include "parallel/pipeline/schedules/stage_order.h"

namespace eisbach::parallel {
namespace {

ActionList DualPipeV(const ScheduleShape& shape, int stage) {
  const int after = shape.stages - 1 - stage;  // stages behind this one
  // The order needs so many to fill the V; it is that of fewer, too.
  const int n = std::max(shape.microbatches, 2 * shape.stages);
  StageOrder order(shape);
  const auto backward = [&](int chunk, bool halves) {
    if (halves) {
      order.BackwardInput(chunk);
    } else {
      order.Backward(chunk);
    }
  };
  for (int i = 0; i < 2 * after; ++i) order.Forward(0);
  for (int i = 0; i < stage + 1; ++i) {
    order.Forward(0);
    order.Forward(1);
  }
  for (int i = 0; i < after; ++i) {
    order.BackwardInput(1);
    order.BackwardWeight();
    order.Forward(1);
  }
  for (int i = 0; i < n - 2 * shape.stages + stage + 1; ++i) {
    order.Forward(0);
    order.Backward(1);
    order.Forward(1);
    order.Backward(0);
  }
  for (int i = 0; i < after; ++i) {
    order.Backward(1);
    order.Forward(1);
    order.Backward(0);
  }
  // From the middle of these on in halves, odd stages one backward earlier.
  const int middle = (stage + 1) / 2;
  for (int i = 0; i < stage + 1; ++i) {
    backward(1, i > middle || (i == middle && stage % 2 == 1));
    backward(0, i >= middle);
  }
  for (int i = 0; i < after; ++i) {
    order.BackwardWeight();
    order.BackwardInput(0);
  }
  order.BackwardWeights();
  return order.Take();
}

const bool dual_pipe_v_registered =
    RegisterSchedule("dual_pipe_v", &DualPipeV, {2, 2}, Placement::kV);

}  // namespace
}  // namespace eisbach::parallel
