#include "core/median.h"

#include <algorithm>
#include <cstddef>

namespace eisbach {
namespace {

double ValueAt(std::vector<double>& values, size_t place) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(place);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

double UpperMedian(std::vector<double> values) {
  return values.empty() ? 0 : ValueAt(values, values.size() / 2);
}

double LowerMedian(std::vector<double> values) {
  return values.empty() ? 0 : ValueAt(values, (values.size() - 1) / 2);
}

}  // namespace eisbach
