#pragma once

#include <memory>

#include "nn/module.h"

namespace eisbach::nn {

enum class Activation : uint8_t { kGelu, kSwiglu };

// down(activation(up(x))); for SwiGLU `up` yields gate and up side by side.
class Mlp final : public Module {
 public:
  Mlp(std::unique_ptr<Projection> up, std::unique_ptr<Projection> down,
      Activation activation);

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override;

 private:
  std::unique_ptr<Projection> up_;
  std::unique_ptr<Projection> down_;
  Activation activation_;
};

}  // namespace eisbach::nn
