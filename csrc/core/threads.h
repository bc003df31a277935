#pragma once

#include <sys/types.h>

#include <bitset>
#include <cstddef>

#include "absl/types/span.h"

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

// How many threads rank number `rank` of a host computes with, so that all
// ranks together keep each core busy once: a core counts by one over the number
// of ranks that may use it. At least 1.
int ShareOfCores(absl::Span<const CoreSet> ranks, size_t rank);

// Sets how many OpenMP threads this thread's kernels use.
void SetComputeThreads(int threads);
int ComputeThreads();

}  // namespace eisbach
