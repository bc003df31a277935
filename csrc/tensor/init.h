#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "tensor/parameter.h"

namespace eisbach {

// Fills `parameter.master()`, which may be a part, as its spec says. An
// element's value depends on `seed`, the logical tensor's name and the
// element's index in the unpadded logical tensor alone, so every layout starts
// from the same bits. Padding is zero. Computed on the host and copied to the
// device.
absl::Status InitParameter(Parameter& parameter, uint64_t seed, Stream& stream);

}  // namespace eisbach
