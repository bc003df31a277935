#pragma once

namespace eisbach {

// Processor cores that this process may run on (its affinity mask).
int UsableCores();

// A rank's share of the host: usable cores divided by the ranks that live on
// them, at least 1.
int ComputeThreadsFor(int ranks_on_host);

// Sets how many OpenMP threads this thread's kernels use.
void SetComputeThreads(int threads);

}  // namespace eisbach
