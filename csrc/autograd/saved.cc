#include "autograd/saved.h"

namespace eisbach::autograd {

Saved::Saved(const Tensor& tensor) {
  const GradEdge& edge = tensor.grad_edge();
  auto* maker = static_cast<Node*>(edge.node);
  if (maker != nullptr && maker->Remakes(edge.output)) {
    maker_ = maker;
    output_ = edge.output;
  } else {
    tensor_ = tensor.Detach();
  }
}

absl::Status Saved::Begin(Stream& stream) const {
  return maker_ == nullptr ? absl::OkStatus()
                           : maker_->BeginRemake(output_, stream);
}

absl::StatusOr<Tensor> Saved::Get(Stream& stream) const {
  if (maker_ == nullptr) return tensor_;
  return maker_->Remake(output_, stream);
}

}  // namespace eisbach::autograd
