#pragma once

#include "absl/status/status.h"
#include "tensor/parameter.h"

namespace eisbach::parallel {

// Brings weights that other ranks have, or have updated. All of its methods are
// collective over the ranks that divide buckets, which make them in one order.
class DividedWeights : public WeightSource {
 public:
  // Before a step, or an evaluation: it will use weights in the order of the
  // one before it, or in another.
  virtual absl::Status BeginPass() = 0;
  // Own parts have changed: those of others are to come anew. Waits for
  // nothing.
  virtual absl::Status Updated() = 0;
  // Makes the compute stream wait for what is on its way.
  virtual absl::Status Wait() = 0;
};

}  // namespace eisbach::parallel
