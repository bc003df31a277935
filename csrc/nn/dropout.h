#pragma once

#include <cstdint>
#include <string>

#include "nn/module.h"

namespace eisbach::nn {

// Dropout of whole activations [B, T, F]; off outside training. The mask
// depends on the seed, the step, the layer's name and the element's place in
// the unsharded tensor of the global batch alone.
class Dropout final : public Module {
 public:
  Dropout(const std::string& name, double p);

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context) const;
  void VisitParameters(const Visitor&) override {}
  void VisitRandom(const NameVisitor& visit) override;

 private:
  std::string name_;
  uint64_t layer_;  // the name's hash
  double p_;
};

}  // namespace eisbach::nn
