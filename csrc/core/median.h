#pragma once

#include <vector>

namespace eisbach {

// The value in the middle, of an even number of values the upper or the lower
// one of two; 0 of none.
double UpperMedian(std::vector<double> values);
double LowerMedian(std::vector<double> values);

}  // namespace eisbach
