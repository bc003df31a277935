#include "core/fits_f32.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace eisbach {

absl::Status CheckFitsF32(absl::string_view name, double value,
                          absl::string_view key) {
  const double size = std::abs(value);
  if (size == 0 || (size >= kLeastF32 && size <= kMostF32)) {
    return absl::OkStatus();
  }
  if (std::isnan(value)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, "=nan is not a number (", key, ")"));
  }
  const bool small = size < kLeastF32;
  const double nearest = std::copysign(small ? kLeastF32 : kMostF32, value);
  const bool below = value < nearest;
  return absl::InvalidArgumentError(absl::StrCat(
      name, "=", value, " is ", below ? "below " : "above ", nearest, ", the ",
      small ? "least" : "most", " that f32 holds (", key,
      "); nearest that works: ", nearest));
}

}  // namespace eisbach
