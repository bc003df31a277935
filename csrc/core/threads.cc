#include "core/threads.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "core/signal_mask.h"

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

CoreLimits FindCoreLimits() {
  CoreLimits limits{.cores = UsableCores(), .quotas = {}};
  const std::vector<CpuQuota> quotas = CpuQuotas();
  const size_t count = std::min(quotas.size(), limits.quotas.size());
  std::copy_n(quotas.begin(), count, limits.quotas.begin());
  return limits;
}

int ShareOfCores(absl::Span<const CoreLimits> ranks, size_t rank) {
  double share = 0;
  for (size_t core = 0; core < kMostCores; ++core) {
    if (!ranks[rank].cores[core]) continue;
    int users = 0;
    for (const CoreLimits& one : ranks) users += one.cores[core];
    share += 1.0 / users;
  }
  for (const CpuQuota& quota : ranks[rank].quotas) {
    if (quota.group == 0) continue;
    int users = 0;
    for (const CoreLimits& one : ranks) {
      for (const CpuQuota& other : one.quotas) {
        users += other.group == quota.group;
      }
    }
    share = std::min(share, quota.cores / users);
  }
  // Thirds add up to a little less than one.
  return std::max(1, static_cast<int>(share + 1e-6));
}

namespace {

// What OpenMP's settings were when this thread counted a team.
struct SeenTeam {
  int size = 0;  // 0: none yet
  int levels = 0;
};
thread_local SeenTeam seen_team;

int CountTeam() {
  std::atomic<int> members = 0;
#pragma omp parallel
  {
    JoinTeam();
    members.fetch_add(1, std::memory_order_relaxed);
  }
  return members;
}

std::string WhyTeamIsShort(int asked) {
  if (omp_get_max_active_levels() < 1) return " (OMP_MAX_ACTIVE_LEVELS=0)";
  const int limit = omp_get_thread_limit();
  if (limit < asked) return absl::StrCat(" (OMP_THREAD_LIMIT=", limit, ")");
  return "";
}

}  // namespace

int MostComputeThreads() {
  constexpr int kMostPerCore = 16;
  const size_t cores = UsableCores().count();
  return kMostPerCore * static_cast<int>(cores > 0 ? cores : kMostCores);
}

int SetComputeThreads(int threads) {
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
  const int size = CountTeam();
  omp_set_num_threads(size);
  seen_team = {size, omp_get_max_active_levels()};
  static std::atomic<bool> told = false;
  if (size < threads && !told.exchange(true)) {
    LogLine(absl::StrCat("computing with ", size, " of the ", threads,
                         " threads asked for: OpenMP gives no more",
                         WhyTeamIsShort(threads)));
  }
  return size;
}

int ComputeThreads() {
  if (omp_in_parallel()) return 1;
  const int threads = omp_get_max_threads();
  if (threads == seen_team.size && !omp_get_dynamic() &&
      omp_get_max_active_levels() == seen_team.levels) {
    return threads;
  }
  return SetComputeThreads(threads);
}

void JoinTeam() {
  if (omp_get_thread_num() > 0) KeepSignalsOff();
}

}  // namespace eisbach
