#include "parallel/pipeline/schedules/rounds.h"

#include <algorithm>

namespace eisbach::parallel {

Rounds RoundsOf(const ScheduleShape& shape) {
  const int n = shape.microbatches;
  const int rounds = std::max(1, n / shape.stages);
  const int longer = n % rounds;
  Rounds result{{}, n / rounds + (longer > 0 ? 1 : 0)};
  for (int round = 0; round < rounds; ++round) {
    const int size = n / rounds + (round < longer ? 1 : 0);
    for (int chunk = 0; chunk < shape.chunks; ++chunk) {
      result.chunks.insert(result.chunks.end(), size, chunk);
    }
  }
  return result;
}

}  // namespace eisbach::parallel
