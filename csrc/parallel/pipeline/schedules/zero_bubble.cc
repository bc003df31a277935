// Interleaved 1F1B with its backward in halves: the input half goes up the
// pipeline at once, the weight half waits and fills what would be idle time.
// With one chunk this is ZB-H1. Idle for (stages - 1) x (forward + input half -
// weight half) / chunks, times of a whole stage; never more activations than
// 1F1B's first stage holds, (stages) micro-batches, counted until their weight
// half.
// Qi et al., "Zero Bubble Pipeline Parallelism", ICLR 2024.

#include <algorithm>

#include "parallel/pipeline/schedules/rounds.h"
#include "parallel/pipeline/schedules/stage_order.h"

namespace eisbach::parallel {
namespace {

ActionList ZeroBubble(const ScheduleShape& shape, int stage) {
  const Rounds rounds = RoundsOf(shape);
  const int total = static_cast<int>(rounds.chunks.size());
  const int warmup = std::min(
      total, (shape.chunks - 1) * rounds.first + (shape.stages - 1 - stage));
  StageOrder order(shape);
  int backwards = 0;
  // Later stages begin their backwards earlier: so many weight halves wait.
  const auto backward = [&] {
    order.BackwardInput(shape.chunks - 1 - rounds.chunks[backwards++]);
    if (backwards > stage) order.BackwardWeight();
  };
  for (int i = 0; i < warmup; ++i) order.Forward(rounds.chunks[i]);
  for (int i = warmup; i < total; ++i) {
    order.Forward(rounds.chunks[i]);
    backward();
  }
  while (backwards < total) backward();
  order.BackwardWeights();
  return order.Take();
}

const bool zero_bubble_registered =
    RegisterSchedule("zero_bubble", &ZeroBubble, {});

}  // namespace
}  // namespace eisbach::parallel
