#include "autograd/recompute.h"

#include <utility>

#include "autograd/graph.h"
#include "autograd/saved.h"
#include "core/status_macros.h"

namespace eisbach::autograd {
namespace {

class RecomputeNode final : public Node {
 public:
  RecomputeNode(RecomputedFunction function, std::vector<Saved> inputs,
                RecomputedOutputs outputs)
      : function_(std::move(function)),
        inputs_(std::move(inputs)),
        remakes_(outputs == RecomputedOutputs::kRemade) {}

  absl::string_view name() const override { return "recompute"; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_RETURN_IF_ERROR(RunOnce(context.stream));
    EISBACH_RETURN_IF_ERROR(graph_.Backward(outputs_, grads, context));
    for (size_t i = 0; i < leaves_.size(); ++i) {
      if (leaves_[i].grad_edge().node == nullptr) continue;
      Tensor grad = graph_.TakeGradient(leaves_[i]);
      if (!grad.defined()) continue;
      EISBACH_RETURN_IF_ERROR(
          Send(static_cast<int>(i), std::move(grad), context.stream));
    }
    return absl::OkStatus();
  }
  bool Remakes(int) const override { return remakes_; }
  absl::StatusOr<Tensor> Remake(int output, Stream& stream) override {
    EISBACH_RETURN_IF_ERROR(RunOnce(stream));
    return outputs_[output].Detach();
  }

 private:
  // The second call of the function, by whoever comes first.
  absl::Status RunOnce(Stream& stream) {
    if (!outputs_.empty()) return absl::OkStatus();
    for (size_t i = 0; i < inputs_.size(); ++i) {
      EISBACH_ASSIGN_OR_RETURN(const Tensor input, inputs_[i].Get(stream));
      inputs_[i] = Saved();
      const bool leaf = input.defined() && Wants(static_cast<int>(i));
      leaves_.push_back(leaf ? graph_.Leaf(input) : input);
    }
    GraphScope scope(&graph_);
    EISBACH_ASSIGN_OR_RETURN(outputs_, function_(leaves_));
    return absl::OkStatus();
  }

  RecomputedFunction function_;
  std::vector<Saved> inputs_;
  bool remakes_;
  Graph graph_;  // of the second call; outlives what points into it
  std::vector<Tensor> leaves_;
  std::vector<Tensor> outputs_;  // empty before it
};

}  // namespace

absl::StatusOr<std::vector<Tensor>> Recompute(
    const RecomputedFunction& function, absl::Span<const Tensor> inputs,
    bool trains, RecomputedOutputs kept) {
  Graph* graph = CurrentGraph();
  if (graph == nullptr) return function(inputs);
  std::vector<Saved> saved;
  std::vector<Tensor> plain;
  for (const Tensor& input : inputs) {
    saved.emplace_back(input);
    plain.push_back(input.Detach());
  }
  std::vector<Tensor> outputs;
  {
    GraphScope scope(nullptr);
    EISBACH_ASSIGN_OR_RETURN(outputs, function(plain));
  }
  graph->RecordAll<RecomputeNode>(trains, inputs, absl::MakeSpan(outputs),
                                  function, std::move(saved), kept);
  return outputs;
}

}  // namespace eisbach::autograd
