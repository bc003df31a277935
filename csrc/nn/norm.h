#pragma once

#include <memory>
#include <string>

#include "autograd/functions/norm.h"
#include "nn/module.h"

namespace eisbach::nn {

// How the weight of a norm begins: as one, of whatever it is added to.
Init::Kind WeightInit(ops::NormKind kind);

// Layer norm or RMS norm of x + residual; see ops/norm.h.
class Norm final : public Module {
 public:
  // `primary`: this rank counts the parameters; all tensor ranks hold them and
  // see the same gradient.
  Norm(std::string name, ops::NormKind kind, int64_t hidden, double eps,
       bool primary);

  // `residual` may be undefined: then sum is x.
  absl::StatusOr<autograd::NormResult> Forward(const Tensor& x,
                                               const Tensor& residual,
                                               const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override;

 private:
  ops::NormKind kind_;
  double eps_;
  Parameter weight_;
  std::unique_ptr<Parameter> bias_;  // of layer norm
};

}  // namespace eisbach::nn
