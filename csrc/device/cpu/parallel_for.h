#pragma once

#include <omp.h>

#include <cstdint>

#include "core/threads.h"

namespace eisbach::cpu {

// Calls f(begin, end) on contiguous pieces of [0, n), one a thread, each at
// least `grain` long. Pieces depend on n, grain and the rank's thread count
// alone. `f` must give the same result however the range is cut.
template <typename F>
void ParallelFor(int64_t n, int64_t grain, F&& f) {
  if (n <= 0) return;
  int64_t threads = ComputeThreads();
  if (grain > 0 && n / grain < threads) threads = n / grain;
  if (threads > 1) {
#pragma omp parallel num_threads(static_cast <int>(threads))
    {
      JoinTeam();
      const int64_t id = omp_get_thread_num();
      const int64_t count = omp_get_num_threads();
      const int64_t begin = n * id / count;
      const int64_t end = n * (id + 1) / count;
      if (begin < end) f(begin, end);
    }
    return;
  }
  f(int64_t{0}, n);
}

}  // namespace eisbach::cpu
