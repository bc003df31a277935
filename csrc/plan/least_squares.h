#pragma once

#include <vector>

#include "absl/types/span.h"

namespace eisbach::plan {

// Something measured: `value` is explained by `parts`, each of which counts by
// an unknown coefficient.
struct Observation {
  std::vector<double> parts;
  double value = 0;
  double weight = 1;  // by which its error counts
};

// The coefficients, none below 0, that leave the least sum of squares of
// weighted errors; 0 for parts that nothing has. Tries all sets of coefficients
// that are above 0, so parts are few: at most 8. All have as many.
std::vector<double> NonNegativeLeastSquares(
    absl::Span<const Observation> observations);

// The same, in which observations that are far off count less (Huber 1964):
// those whose weighted error is above three times the median of all.
std::vector<double> RobustLeastSquares(
    absl::Span<const Observation> observations);

}  // namespace eisbach::plan
