#include "parallel/pipeline/schedules/stage_order.h"

#include <algorithm>

namespace eisbach::parallel {

void StageOrder::BackwardInput(int chunk) {
  const int microbatch = backwards_[chunk]++;
  Add(ActionKind::kBackwardInput, microbatch, chunk);
  waiting_.push_back({ActionKind::kBackwardWeight, microbatch, chunk});
}

void StageOrder::BackwardWeight() {
  if (!waiting_.empty()) BackwardWeight(waiting_.front().chunk);
}

void StageOrder::BackwardWeight(int chunk) {
  const auto oldest =
      std::find_if(waiting_.begin(), waiting_.end(),
                   [&](const Action& weight) { return weight.chunk == chunk; });
  if (oldest == waiting_.end()) return;
  Add(oldest->kind, oldest->microbatch, oldest->chunk);
  waiting_.erase(oldest);
}

void StageOrder::BackwardWeights() {
  while (!waiting_.empty()) BackwardWeight();
}

}  // namespace eisbach::parallel
