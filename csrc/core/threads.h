#pragma once

#include <sys/types.h>

#include <array>
#include <bitset>
#include <cstddef>

#include "absl/types/span.h"
#include "core/cpu_quota.h"

namespace eisbach {

// Processor cores by their numbers.
inline constexpr size_t kMostCores = 1024;
using CoreSet = std::bitset<kMostCores>;

// The cores that a process may run on (its affinity mask); process 0 is this
// one. Empty where the system does not tell.
CoreSet UsableCores(pid_t process = 0);
// Lets this thread, and threads that it makes from now on, run on `cores`.
// False where the system refuses.
bool UseCores(const CoreSet& cores);

// What a process may use of its host. Plain bytes, for ranks to tell each
// other.
struct CoreLimits {
  CoreSet cores;
  std::array<CpuQuota, 8> quotas;  // those without a group are none
};
// Of the calling process.
CoreLimits FindCoreLimits();

// How many threads rank number `rank` of a host computes with, so that all
// ranks together keep each core busy once: a core counts by one over the number
// of ranks that may use it, and so does the quota of a group of processes. At
// least 1.
int ShareOfCores(absl::Span<const CoreLimits> ranks, size_t rank);

// How many OpenMP threads the calling thread's kernels use.
//
// OpenMP may give a team smaller than the one that was asked for
// (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS, OMP_DYNAMIC), and a library that
// has cut its work for omp_get_max_threads() members then leaves pieces out in
// silence. So a number counts once a team of that size has been seen: dynamic
// teams are turned off, a team is counted, and omp_get_max_threads() is its
// size from then on. Where it is short, one line on standard error says so.

// The most threads that it makes sense to ask for: 16 for each usable core. Far
// more, and making the team may fail, for which OpenMP ends the process.
int MostComputeThreads();

// Asks for `threads`, at least 1; returns how many there are.
int SetComputeThreads(int threads);
// 1 inside a parallel region. Counts a team where this thread has not seen one
// yet or somebody else has changed OpenMP's settings. Whatever divides work by
// a number of threads asks here.
int ComputeThreads();

// First in each parallel region: members of a team that others have made take
// no signals from then on, as a library's kernels run on them, too
// (core/signal_mask.h).
void JoinTeam();

}  // namespace eisbach
