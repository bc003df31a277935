#pragma once

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "tensor/parameter.h"

namespace eisbach::parallel {

// How often one micro-batch adds to a parameter's gradient; 1 where absent. A
// weight that is both embedding and head of one stage is used twice.
using ParameterUses = absl::flat_hash_map<const Parameter*, int>;

// Sums the gradients of a stage's buckets over the ranks that see other
// samples, while backward goes on.
//
//   sum->BeginStep(micro_batches);
//   ... forward and backward of every micro-batch ...
//   sum->Finish();  // gradients are summed
//
// Used by the rank's compute thread. In a group of one nothing is sent.
class GradientSum : public GradientSink {
 public:
  // Forgets the gradients and expects those of `micro_batches`.
  virtual absl::Status BeginStep(int micro_batches) = 0;

  // Zeroes gradients that nothing was added to, starts what is left, and makes
  // the compute stream wait for all of it. Collective over the group.
  virtual absl::Status Finish() = 0;

  // Seconds that the host waited for communication that backward did not hide,
  // over all steps. On a device with real streams the wait is the device's, and
  // this counts the calls alone.
  virtual double exposed_seconds() const = 0;
};

}  // namespace eisbach::parallel
