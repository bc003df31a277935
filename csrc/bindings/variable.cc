#include "bindings/variable.h"

#include <algorithm>

namespace eisbach::bindings {
namespace {

struct Entry {
  std::shared_ptr<Recording> recording;
  std::unique_ptr<autograd::GraphScope> scope;
};

// Keeps what records alive, also where a `with` is never left.
std::vector<Entry>& Entries() {
  static thread_local std::vector<Entry> entries;
  return entries;
}

}  // namespace

void Recording::Restart() {
  graph_.Clear();
  leaves_.clear();
  owners_.clear();
  walked_ = false;
  ++count_;
}

absl::Status Recording::Begin() {
  if (walked_) {
    return absl::FailedPreconditionError("a recording runs backward once");
  }
  walked_ = true;
  return absl::OkStatus();
}

Tensor Recording::Leaf(const Tensor& tensor) {
  Tensor leaf = graph_.Leaf(tensor);
  leaves_.push_back(leaf.grad_edge().node);
  return leaf;
}

bool Recording::IsLeaf(const Tensor& tensor) const {
  return std::find(leaves_.begin(), leaves_.end(), tensor.grad_edge().node) !=
         leaves_.end();
}

const std::shared_ptr<Recording>& CurrentRecording() {
  static const std::shared_ptr<Recording> none;
  return Entries().empty() ? none : Entries().back().recording;
}

absl::Status EnterRecording(std::shared_ptr<Recording> recording) {
  for (const Entry& entry : Entries()) {
    if (entry.recording == recording) {
      return absl::FailedPreconditionError("the graph is recording already");
    }
  }
  recording->Restart();
  autograd::Graph* graph = &recording->graph();
  Entries().push_back(
      {std::move(recording), std::make_unique<autograd::GraphScope>(graph)});
  return absl::OkStatus();
}

absl::Status LeaveRecording(const Recording& recording) {
  if (CurrentRecording().get() != &recording) {
    return absl::FailedPreconditionError(
        "this graph is not the one that this thread records into");
  }
  Entries().pop_back();
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Input(const Variable& variable) {
  if (variable.value.grad_edge().node == nullptr) return variable.value;
  const std::shared_ptr<Recording>& current = CurrentRecording();
  if (current == nullptr) return variable.value.Detach();
  if (variable.recording != current || variable.count != current->count()) {
    return absl::InvalidArgumentError(
        "a tensor of another recording is used in this graph; detach() it");
  }
  return variable.value;
}

Variable Output(Tensor tensor) {
  Variable variable(std::move(tensor));
  const std::shared_ptr<Recording>& current = CurrentRecording();
  if (current != nullptr && variable.value.grad_edge().node != nullptr) {
    variable.recording = current;
    variable.count = current->count();
  }
  return variable;
}

void KeepForBackward(std::shared_ptr<const void> owner) {
  const std::shared_ptr<Recording>& current = CurrentRecording();
  if (current != nullptr) current->Keep(std::move(owner));
}

}  // namespace eisbach::bindings
