#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// Kernels compute in f32 with numbers that are given in double.
inline constexpr double kLeastF32 = 1.2e-38;  // normal, and short to write
inline constexpr double kMostF32 = 3.4e38;

// InvalidArgument for a value that f32 would make 0, infinite or a denormal
// number of, and for NaN: "eps=1e-300 is below 1.2e-38, the least that f32
// holds (optimizer.eps); nearest that works: 1.2e-38". 0 fits.
absl::Status CheckFitsF32(absl::string_view name, double value,
                          absl::string_view key);

}  // namespace eisbach
