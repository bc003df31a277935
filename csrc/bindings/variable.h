#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "autograd/graph.h"
#include "tensor/tensor.h"

namespace eisbach::bindings {

// A graph as Python holds it. It records several times, one after another;
// tensors of an earlier recording no longer point into it.
class Recording {
 public:
  autograd::Graph& graph() { return graph_; }
  int64_t count() const { return count_; }
  // Forgets the last recording and starts another.
  void Restart();
  // Before backward, which a recording runs once.
  absl::Status Begin();

  Tensor Leaf(const Tensor& tensor);
  bool IsLeaf(const Tensor& tensor) const;

  // Nodes keep plain pointers to parameters: their owners live until Restart.
  void Keep(std::shared_ptr<const void> owner) {
    owners_.push_back(std::move(owner));
  }

 private:
  std::vector<std::shared_ptr<const void>> owners_;
  autograd::Graph graph_;
  std::vector<GradNode*> leaves_;
  int64_t count_ = 0;
  bool walked_ = false;
};

// What Python calls a Tensor: with it, the recording into which its gradient
// edge points, so that no edge is followed that is gone.
struct Variable {
  Variable() = default;
  Variable(Tensor tensor) : value(std::move(tensor)) {}  // NOLINT

  Tensor value;
  std::shared_ptr<Recording> recording;  // null without an edge
  int64_t count = 0;                     // of the recording
};

// The recording of this thread's innermost `with graph:`; null outside of one.
const std::shared_ptr<Recording>& CurrentRecording();
// Starts `recording` anew. An error when it records already.
absl::Status EnterRecording(std::shared_ptr<Recording> recording);
// `recording` is the innermost one.
absl::Status LeaveRecording(const Recording& recording);

// The tensor as an input of a function that may record: with its edge where
// that is of the current recording, without one where nothing records. An
// edge into another recording is InvalidArgument.
absl::StatusOr<Tensor> Input(const Variable& variable);
// What such a function returned.
Variable Output(Tensor tensor);
// Keeps the owner of parameters alive as long as what records uses them.
void KeepForBackward(std::shared_ptr<const void> owner);

}  // namespace eisbach::bindings
