#include "autograd/graph.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::autograd {
namespace {

thread_local Graph* current_graph = nullptr;

// Keeps the gradient that arrives.
class LeafNode final : public Node {
 public:
  absl::string_view name() const override { return "leaf"; }
  absl::Status Backward(absl::Span<Tensor> grads, BackwardContext&) override {
    gradient = std::move(grads[0]);
    return absl::OkStatus();
  }

  Tensor gradient;
};

}  // namespace

absl::Status Deferred::Run(Stream& stream) {
  for (Work& work : work_) {
    EISBACH_RETURN_IF_ERROR(work(stream));
    work = nullptr;
  }
  work_.clear();
  return absl::OkStatus();
}

absl::Status Node::Send(int input, Tensor grad, Stream& stream) {
  const GradEdge& edge = inputs_[input];
  if (edge.node == nullptr) return absl::OkStatus();
  return static_cast<Node*>(edge.node)->Receive(edge.output, std::move(grad),
                                                stream);
}

absl::StatusOr<Tensor> Node::Remake(int output, Stream&) {
  return absl::UnimplementedError(
      absl::StrCat(name(), " cannot make its output ", output, " again"));
}

bool Node::RemakesInput(int input) const {
  const GradEdge& edge = inputs_[input];
  return edge.node != nullptr &&
         static_cast<Node*>(edge.node)->Remakes(edge.output);
}

absl::StatusOr<Tensor> Node::RemakeInput(int input, Stream& stream) {
  const GradEdge& edge = inputs_[input];
  return static_cast<Node*>(edge.node)->Remake(edge.output, stream);
}

absl::Status Node::Receive(int output, Tensor grad, Stream& stream) {
  pending_ = true;
  Tensor& sum = grads_[output];
  if (!sum.defined()) {
    sum = std::move(grad);
    return absl::OkStatus();
  }
  if (sum.storage().use_count() == 1) {
    return ops::AddInPlace(sum, grad, stream);
  }
  EISBACH_ASSIGN_OR_RETURN(sum, ops::Add(sum, grad, stream));
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Node::Owned(Tensor grad, Stream& stream) {
  if (grad.storage().use_count() == 1) return grad;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor copy, Tensor::Empty(grad.shape(), grad.dtype(), grad.device()));
  EISBACH_RETURN_IF_ERROR(ops::Copy(grad, copy, stream));
  return copy;
}

bool Graph::Wants(absl::Span<const Tensor* const> inputs, bool trains) const {
  return trains || observer_ != nullptr ||
         std::any_of(inputs.begin(), inputs.end(), [](const Tensor* input) {
           return input->grad_edge().node != nullptr;
         });
}

Tensor Graph::Leaf(const Tensor& tensor) {
  Tensor leaf = tensor.Detach();
  RecordTraining<LeafNode>(/*trains=*/true, {}, {&leaf});
  return leaf;
}

Tensor Graph::TakeGradient(const Tensor& leaf) {
  auto* node = dynamic_cast<LeafNode*>(leaf.grad_edge().node);
  EISBACH_CHECK(node != nullptr);
  return std::move(node->gradient);
}

void Graph::Attach(Node* node, absl::Span<const Tensor* const> inputs,
                   absl::Span<Tensor* const> outputs) {
  for (const Tensor* input : inputs) {
    node->inputs_.push_back(input->grad_edge());
  }
  node->grads_.resize(outputs.size());
  node->index_ = nodes_.size();
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i]->set_grad_edge({node, static_cast<int>(i)});
    if (observer_ != nullptr && outputs[i]->defined()) {
      observed_.Update(observer_->OnForward(node->name(), *outputs[i]));
    }
  }
  nodes_.push_back(node);
}

absl::Status Graph::Backward(absl::Span<const Tensor> outputs,
                             absl::Span<const Tensor> grads,
                             BackwardContext& context) {
  EISBACH_RETURN_IF_ERROR(observed_);
  // Nothing that runs below records.
  GraphScope scope(nullptr);
  size_t end = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const GradEdge& edge = outputs[i].grad_edge();
    if (edge.node == nullptr || !grads[i].defined()) continue;
    Node* node = static_cast<Node*>(edge.node);
    EISBACH_RETURN_IF_ERROR(
        node->Receive(edge.output, grads[i], context.stream));
    end = std::max(end, node->index_ + 1);
  }
  for (size_t i = end; i-- > 0;) {
    Node* node = nodes_[i];
    if (node == nullptr || !node->pending_) continue;
    node->pending_ = false;
    auto arrived = std::move(node->grads_);
    for (const Tensor& grad : arrived) {
      if (observer_ == nullptr || !grad.defined()) continue;
      EISBACH_RETURN_IF_ERROR(observer_->OnBackward(node->name(), grad));
    }
    EISBACH_RETURN_IF_ERROR(
        Annotate(node->Backward(absl::MakeSpan(arrived), context),
                 absl::StrCat("backward of ", node->name())));
    if (dynamic_cast<LeafNode*>(node) == nullptr) Destroy(i);
  }
  return absl::OkStatus();
}

void Graph::Destroy(size_t index) {
  if (nodes_[index] == nullptr) return;
  nodes_[index]->~Node();
  nodes_[index] = nullptr;
}

void Graph::Clear() {
  for (size_t i = nodes_.size(); i-- > 0;) Destroy(i);
  nodes_.clear();
  arena_.Reset();
  observed_ = absl::OkStatus();
}

Graph* CurrentGraph() { return current_graph; }

GraphScope::GraphScope(Graph* graph) : previous_(current_graph) {
  current_graph = graph;
}

GraphScope::~GraphScope() { current_graph = previous_; }

}  // namespace eisbach::autograd
