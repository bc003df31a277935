#include "core/threads.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <vector>

namespace eisbach {

static_assert(kMostCores <= CPU_SETSIZE);

CoreSet UsableCores(pid_t process) {
  CoreSet cores;
  cpu_set_t mask;
  if (sched_getaffinity(process, sizeof(mask), &mask) != 0) return cores;
  for (size_t i = 0; i < kMostCores; ++i) cores[i] = CPU_ISSET(i, &mask);
  return cores;
}

bool UseCores(const CoreSet& cores) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  for (size_t i = 0; i < kMostCores; ++i) {
    if (cores[i]) CPU_SET(i, &mask);
  }
  return sched_setaffinity(0, sizeof(mask), &mask) == 0;
}

int ShareOfCores(absl::Span<const CoreSet> ranks, size_t rank) {
  double share = 0;
  for (size_t core = 0; core < kMostCores; ++core) {
    if (!ranks[rank][core]) continue;
    int users = 0;
    for (const CoreSet& cores : ranks) users += cores[core];
    share += 1.0 / users;
  }
  // Thirds add up to a little less than one.
  return std::max(1, static_cast<int>(share + 1e-6));
}

void SetComputeThreads(int threads) { omp_set_num_threads(threads); }
int ComputeThreads() { return omp_get_max_threads(); }

}  // namespace eisbach
