#pragma once

#include <vector>

#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// The order of interleaved schedules (Narayanan et al., "Efficient Large-Scale
// Language Model Training on GPU Clusters Using Megatron-LM", SC 2021): micro-
// batches go in rounds, a round through all chunks before the next one starts.
//
// There are as many rounds as have `stages` micro-batches each, at least one.
// What is left over is spread: the first rounds have one micro-batch more. So
// no round is shorter than the pipeline, which would stall it at each chunk.
struct Rounds {
  std::vector<int> chunks;  // of each forward; backwards run them the other way
  int first;                // micro-batches of the first round, the longest
};
Rounds RoundsOf(const ScheduleShape& shape);

}  // namespace eisbach::parallel
