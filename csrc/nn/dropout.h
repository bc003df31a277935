#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nn/module.h"
#include "ops/dropout.h"

namespace eisbach::nn {

// Dropout of activations [B, T, F], or of this rank's tokens of them
// (ForwardContext::share); off outside training. The mask
// depends on the seed, the step, the layer's name and the element's place in
// the unsharded tensor of the global batch alone.
class Dropout final : public Module {
 public:
  // x holds the features from `first_feature` on.
  Dropout(const std::string& name, double p, int64_t first_feature = 0);

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context) const;
  // What the mask of a call is made from whose x has all tokens; nothing where
  // nothing is dropped.
  std::optional<ops::DropoutSource> Source(const ForwardContext& context) const;
  double p() const { return p_; }

  void VisitParameters(const Visitor&) override {}
  void VisitRandom(const NameVisitor& visit) override;

 private:
  std::string name_;
  uint64_t layer_;  // the name's hash
  double p_;
  int64_t first_feature_;
};

}  // namespace eisbach::nn
