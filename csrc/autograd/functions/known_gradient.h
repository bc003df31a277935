#pragma once

#include <utility>

#include "autograd/graph.h"
#include "tensor/parameter.h"

namespace eisbach::autograd {

// Passes on a gradient that is known since the forward pass.
class KnownGradientNode final : public Node {
 public:
  KnownGradientNode(const Parameter& weight, Tensor gradient)
      : weight_(weight), gradient_(std::move(gradient)) {}
  absl::string_view name() const override { return weight_.spec().name; }
  absl::Status Backward(absl::Span<Tensor>, BackwardContext& context) override {
    return Send(0, std::move(gradient_), context.stream);
  }

 private:
  const Parameter& weight_;
  Tensor gradient_;
};

}  // namespace eisbach::autograd
