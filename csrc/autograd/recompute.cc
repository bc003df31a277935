#include "autograd/recompute.h"

#include <utility>

#include "autograd/graph.h"
#include "core/status_macros.h"

namespace eisbach::autograd {
namespace {

class RecomputeNode final : public Node {
 public:
  RecomputeNode(RecomputedFunction function, std::vector<Tensor> inputs)
      : function_(std::move(function)), inputs_(std::move(inputs)) {}

  absl::string_view name() const override { return "recompute"; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    Graph graph;
    std::vector<Tensor> leaves;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const bool leaf = inputs_[i].defined() && Wants(static_cast<int>(i));
      leaves.push_back(leaf ? graph.Leaf(inputs_[i]) : inputs_[i]);
    }
    std::vector<Tensor> outputs;
    {
      GraphScope scope(&graph);
      EISBACH_ASSIGN_OR_RETURN(outputs, function_(leaves));
    }
    EISBACH_RETURN_IF_ERROR(graph.Backward(outputs, grads, context));
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (leaves[i].grad_edge().node == nullptr) continue;
      Tensor grad = graph.TakeGradient(leaves[i]);
      if (!grad.defined()) continue;
      EISBACH_RETURN_IF_ERROR(
          Send(static_cast<int>(i), std::move(grad), context.stream));
    }
    return absl::OkStatus();
  }

 private:
  RecomputedFunction function_;
  std::vector<Tensor> inputs_;
};

}  // namespace

absl::StatusOr<std::vector<Tensor>> Recompute(
    const RecomputedFunction& function, absl::Span<const Tensor> inputs,
    bool trains) {
  Graph* graph = CurrentGraph();
  if (graph == nullptr) return function(inputs);
  std::vector<Tensor> saved;
  for (const Tensor& input : inputs) saved.push_back(input.Detach());
  std::vector<Tensor> outputs;
  {
    GraphScope scope(nullptr);
    EISBACH_ASSIGN_OR_RETURN(outputs, function(saved));
  }
  graph->RecordAll<RecomputeNode>(trains, inputs, absl::MakeSpan(outputs),
                                  function, std::move(saved));
  return outputs;
}

}  // namespace eisbach::autograd
