// Interleaved 1F1B: a stage holds several chunks of the model, so a micro-batch
// passes it as often. Forwards and backwards in turn, each going through the
// chunks in rounds; the idle time of 1F1B divided by the number of chunks, for
// as many times its transfers. At most (stages + (stages - 1) / chunks)
// micro-batches' activations of a whole stage, more where rounds are longer.
// Narayanan et al., "Efficient Large-Scale Language Model Training on GPU
// Clusters Using Megatron-LM", SC 2021.

#include <algorithm>

#include "parallel/pipeline/schedules/rounds.h"
#include "parallel/pipeline/schedules/stage_order.h"

namespace eisbach::parallel {
namespace {

ActionList Interleaved(const ScheduleShape& shape, int stage) {
  const Rounds rounds = RoundsOf(shape);
  const int total = static_cast<int>(rounds.chunks.size());
  const int warmup = std::min(total, (shape.chunks - 1) * rounds.first +
                                         2 * (shape.stages - 1 - stage));
  const auto backward = [&](int i) {
    return shape.chunks - 1 - rounds.chunks[i];
  };
  StageOrder order(shape);
  for (int i = 0; i < warmup; ++i) order.Forward(rounds.chunks[i]);
  for (int i = warmup; i < total; ++i) {
    order.Forward(rounds.chunks[i]);
    order.Backward(backward(i - warmup));
  }
  for (int i = total - warmup; i < total; ++i) order.Backward(backward(i));
  return order.Take();
}

const bool interleaved_registered =
    RegisterSchedule("interleaved", &Interleaved, {.least = 2});

}  // namespace
}  // namespace eisbach::parallel
