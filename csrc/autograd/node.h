#pragma once

#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tensor/grad_node.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Weight gradients that a backward pass left for later, in order. What zero
// bubble schedules run in their bubbles (Qi et al., arXiv:2401.10241).
class Deferred {
 public:
  using Work = std::function<absl::Status(Stream&)>;

  void Push(Work work) { work_.push_back(std::move(work)); }
  bool empty() const { return work_.empty(); }
  // Runs and forgets all of it; stops at the first error.
  absl::Status Run(Stream& stream);

 private:
  std::vector<Work> work_;
};

// Sees every tensor that a graph records, in order. For finding the first one
// that is not finite.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual absl::Status OnForward(absl::string_view node,
                                 const Tensor& output) = 0;
  virtual absl::Status OnBackward(absl::string_view node,
                                  const Tensor& gradient) = 0;
};

// What a node's Backward runs with.
struct BackwardContext {
  Stream& stream;
  Deferred* deferred = nullptr;  // null: weight gradients are computed at once

  // Computes a weight gradient now or later. `work` holds what it needs by
  // value: the node is gone by the time it runs.
  template <typename F>
  absl::Status WeightGradient(F&& work) {
    if (deferred == nullptr) return work(stream);
    deferred->Push(std::forward<F>(work));
    return absl::OkStatus();
  }
};

// One differentiable call: it has saved what its backward needs, and knows the
// nodes that made its inputs. Lives in the arena of its graph.
class Node : public GradNode {
 public:
  virtual absl::string_view name() const = 0;

  // `grads` holds one gradient an output, undefined where none arrived. Passes
  // gradients on by Send and adds parameter gradients to their buckets. A
  // gradient may have other readers (Send may give one tensor to two inputs,
  // deferred work keeps it): take Owned() to overwrite it.
  virtual absl::Status Backward(absl::Span<Tensor> grads,
                                BackwardContext& context) = 0;

  // Whether output number `output` can be made again, in the same bits and by
  // little work, from what the node saves anyway. Who needs such an output in
  // its backward keeps the way to it instead of its memory (autograd/saved.h).
  virtual bool Remakes(int /*output*/) const { return false; }
  // That output again. Until the node's own Backward.
  virtual absl::StatusOr<Tensor> Remake(int output, Stream& stream);
  // Starts what the next Remake of it does elsewhere than on `stream`, beside
  // what is computed until then. Nothing for most.
  virtual absl::Status BeginRemake(int /*output*/, Stream& /*stream*/) {
    return absl::OkStatus();
  }

 protected:
  // Whether anybody wants the gradient of input i.
  bool Wants(int input) const { return inputs_[input].node != nullptr; }
  // `grad` itself where nobody else holds its storage, else a copy.
  static absl::StatusOr<Tensor> Owned(Tensor grad, Stream& stream);
  // Hands `grad` to the maker of input i; a second gradient for the same output
  // is added to the first.
  absl::Status Send(int input, Tensor grad, Stream& stream);
  // The same for input i, by the node that made it. For nodes whose output is
  // their input.
  bool RemakesInput(int input) const;
  absl::StatusOr<Tensor> RemakeInput(int input, Stream& stream);

 private:
  friend class Graph;

  absl::Status Receive(int output, Tensor grad, Stream& stream);

  absl::InlinedVector<GradEdge, 3> inputs_;
  absl::InlinedVector<Tensor, 2> grads_;
  bool pending_ = false;  // a gradient has arrived
  size_t index_ = 0;      // place in the graph
};

}  // namespace eisbach::autograd
