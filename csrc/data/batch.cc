#include "data/batch.h"

#include <algorithm>
#include <limits>

namespace eisbach::data {

int64_t IdsBelow(absl::Span<const int32_t> tokens,
                 absl::Span<const int32_t> targets) {
  int32_t least = 0, most = 0;
  for (const int32_t token : tokens) {
    least = std::min(least, token);
    most = std::max(most, token);
  }
  if (least < 0) return std::numeric_limits<int64_t>::max();
  for (const int32_t target : targets) most = std::max(most, target);
  return int64_t{most} + 1;
}

}  // namespace eisbach::data
