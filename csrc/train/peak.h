#pragma once

#include "absl/status/statusor.h"
#include "comm/world.h"

namespace eisbach::train {

// What a rank's threads reach on this machine, by measurement.
struct Peak {
  double f32_flops = 0;   // a second, of large matmuls at their best
  double bf16_flops = 0;  // the same with bf16 operands
  double bytes = 0;       // a second, read and written past the caches
};

// All ranks measure at the same time, so that each gets its share of what they
// have in common. With the threads that compute, in about a second; takes two
// arrays of up to 256 MiB and gives them back. Collective, not on meta.
absl::StatusOr<Peak> MeasurePeak(comm::World& world);

}  // namespace eisbach::train
