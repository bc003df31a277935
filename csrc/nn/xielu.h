#pragma once

#include <string>

#include "nn/module.h"

namespace eisbach::nn {

// An activation with two learned slopes; see ops/xielu.h.
class Xielu final : public Module {
 public:
  // The parameters are `name`.alpha_p and `name`.alpha_n, [1] each. Ranks of a
  // tensor group hold them and see a part of their gradients, that of their own
  // features; `primary` counts them.
  Xielu(const std::string& name, bool primary);

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override;

 private:
  Parameter alpha_p_;
  Parameter alpha_n_;
};

}  // namespace eisbach::nn
