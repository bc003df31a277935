#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Which random bits the elements of a range are rounded with: they depend on
// key, step and index alone, and are the same on every device.
struct StochasticRounding {
  const Tensor& step;  // i64 [1] in device memory
  uint64_t key;        // of the run and the buffer that `first` counts in
  int64_t first;       // index of the range's first element
};

// from f32 [n] to bf16 [n], up or down at random so that the mean is the value
// (see ops/rounding_bits.h).
struct RoundStochasticallyArgs {
  const Tensor& from;
  const Tensor& to;
  StochasticRounding rounding;
};
using RoundStochasticallyKernel = KernelSlot<RoundStochasticallyArgs>;
RoundStochasticallyKernel& RoundStochasticallySlot();
absl::Status RoundStochastically(const Tensor& from, const Tensor& to,
                                 const StochasticRounding& rounding,
                                 Stream& stream);

}  // namespace eisbach::ops
