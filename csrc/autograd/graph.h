#pragma once

#include <new>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "autograd/arena.h"
#include "autograd/node.h"

namespace eisbach::autograd {

// The recorded forward pass of one micro-batch. Nodes stand in the order of
// their making, which is a topological order, so Backward walks it from the
// end; each node, and with it the tensors that it saved, is freed as soon as
// it has run. Used by one thread; outlives every tensor that points into it.
class Graph {
 public:
  Graph() = default;
  ~Graph() { Clear(); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // `tensor` as a starting point whose gradient is wanted.
  Tensor Leaf(const Tensor& tensor);
  // The gradient of a leaf after Backward; undefined if none reached it.
  Tensor TakeGradient(const Tensor& leaf);

  // Whether a call on `inputs` is recorded: somebody wants the gradient of one,
  // or it `trains` a parameter. What only observes sees every call.
  bool Wants(absl::Span<const Tensor* const> inputs, bool trains) const;

  // Records a node of class T, made from `args`, between inputs and outputs,
  // where somebody wants the gradient of an input.
  template <typename T, typename... Args>
  void Record(std::initializer_list<const Tensor*> inputs,
              std::initializer_list<Tensor*> outputs, Args&&... args) {
    RecordTraining<T>(/*trains=*/false, inputs, outputs,
                      std::forward<Args>(args)...);
  }
  // The same for a call that has parameters, of which it trains some or none.
  template <typename T, typename... Args>
  void RecordTraining(bool trains, std::initializer_list<const Tensor*> inputs,
                      std::initializer_list<Tensor*> outputs, Args&&... args) {
    RecordBetween<T>(trains, absl::MakeSpan(inputs.begin(), inputs.size()),
                     absl::MakeSpan(outputs.begin(), outputs.size()),
                     std::forward<Args>(args)...);
  }
  template <typename T, typename... Args>
  void RecordAll(bool trains, absl::Span<const Tensor> inputs,
                 absl::Span<Tensor> outputs, Args&&... args) {
    std::vector<const Tensor*> in;
    std::vector<Tensor*> out;
    for (const Tensor& t : inputs) in.push_back(&t);
    for (Tensor& t : outputs) out.push_back(&t);
    RecordBetween<T>(trains, in, out, std::forward<Args>(args)...);
  }

  // Runs backward from `outputs`, seeded with `grads` (one each; undefined to
  // leave one out). A graph runs backward once; leaves keep their gradients
  // until Clear.
  absl::Status Backward(absl::Span<const Tensor> outputs,
                        absl::Span<const Tensor> grads,
                        BackwardContext& context);

  // Who sees what is recorded and what backward receives; null for nobody. Not
  // owned. An error of its OnForward is returned by Backward.
  void set_observer(Observer* observer) { observer_ = observer; }

  // Forgets everything and keeps the memory.
  void Clear();
  size_t size() const { return nodes_.size(); }

 private:
  template <typename T, typename... Args>
  void RecordBetween(bool trains, absl::Span<const Tensor* const> inputs,
                     absl::Span<Tensor* const> outputs, Args&&... args) {
    if (!Wants(inputs, trains)) return;
    T* node = new (arena_.Allocate(sizeof(T), alignof(T)))
        T(std::forward<Args>(args)...);
    Attach(node, inputs, outputs);
  }
  void Attach(Node* node, absl::Span<const Tensor* const> inputs,
              absl::Span<Tensor* const> outputs);
  void Destroy(size_t index);

  Arena arena_;
  std::vector<Node*> nodes_;  // null once freed
  Observer* observer_ = nullptr;
  absl::Status observed_;  // the first error of OnForward
};

// The graph that this thread's differentiable functions record into; null when
// no gradient is wanted. Thread-local.
Graph* CurrentGraph();

// Sets the current graph for a scope.
class GraphScope {
 public:
  explicit GraphScope(Graph* graph);
  ~GraphScope();
  GraphScope(const GraphScope&) = delete;
  GraphScope& operator=(const GraphScope&) = delete;

 private:
  Graph* previous_;
};

}  // namespace eisbach::autograd
