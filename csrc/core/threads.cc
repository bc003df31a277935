#include "core/threads.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>

namespace eisbach {

int UsableCores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return 1;
  return std::max(1, CPU_COUNT(&mask));
}

int ComputeThreadsFor(int ranks_on_host) {
  return std::max(1, UsableCores() / std::max(1, ranks_on_host));
}

void SetComputeThreads(int threads) { omp_set_num_threads(threads); }

}  // namespace eisbach
