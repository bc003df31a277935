#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// Writes the order of one stage. The micro-batches of a chunk go through it one
// after the other, forward as backward, so the chunk is all that is said. Those
// that the step does not have are counted and left out: a schedule that needs
// many writes the order for many.
class StageOrder {
 public:
  explicit StageOrder(const ScheduleShape& shape)
      : microbatches_(shape.microbatches),
        forwards_(shape.chunks),
        backwards_(shape.chunks) {}

  void Forward(int chunk) {
    Add(ActionKind::kForward, forwards_[chunk]++, chunk);
  }
  void Backward(int chunk) {
    Add(ActionKind::kBackward, backwards_[chunk]++, chunk);
  }
  void BackwardInput(int chunk);
  // The weight half that has waited longest; nothing where none waits.
  void BackwardWeight();
  // The same among those of one chunk.
  void BackwardWeight(int chunk);
  // All that wait.
  void BackwardWeights();

  // How many forwards of a chunk there are so far.
  int forwards(int chunk) const { return forwards_[chunk]; }

  ActionList Take() { return std::move(list_); }

 private:
  void Add(ActionKind kind, int microbatch, int chunk) {
    if (microbatch < microbatches_) list_.push_back({kind, microbatch, chunk});
  }

  const int microbatches_;
  std::vector<int> forwards_;
  std::vector<int> backwards_;  // whole ones and input halves
  std::deque<Action> waiting_;  // weight halves
  ActionList list_;
};

}  // namespace eisbach::parallel
