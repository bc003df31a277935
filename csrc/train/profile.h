#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/dtype.h"
#include "train/rank_trace.h"

namespace eisbach::train {

// One op, summed over ranks and steps.
struct OpRow {
  std::string name;
  int64_t calls = 0;
  double seconds = 0;
  double share = 0;             // of the ranks' time in steps
  double flops_per_second = 0;  // of a rank, while it is in the op
  double bytes_per_second = 0;  // the same
  double compute_of_peak = 0;   // flops_per_second by what a matmul reaches
  double memory_of_peak = 0;    // bytes_per_second by what memory does
  // Of these the larger one: how close the op is to what it cannot pass. The
  // memory's is above 1 where the tensors lie in a cache.
  double of_peak() const { return std::max(compute_of_peak, memory_of_peak); }
  absl::string_view bound() const {
    return compute_of_peak >= memory_of_peak ? "compute" : "memory";
  }
};

// One collective of one group, summed over ranks and steps.
struct CollectiveRow {
  std::string name;
  std::string group;
  int64_t calls = 0;
  double bytes = 0;
  double seconds = 0;
  double exposed_seconds = 0;
};

// Parts of the ranks' time in steps, which together are 1.
struct TimeShares {
  double matmul = 0;
  double attention = 0;
  double exposed_communication = 0;
  double other = 0;
};

struct Profile {
  int steps = 0;
  // From the first step's begin to the last one's end, by the number of steps;
  // mean of the ranks.
  double step_seconds = 0;
  TimeShares shares;
  Peak peak;                               // mean of the ranks
  std::vector<OpRow> ops;                  // the longest first
  std::vector<CollectiveRow> collectives;  // the same
};

// Sums what ranks recorded. `compute` is the type that their matmuls have.
// InvalidArgument where a rank recorded no step.
absl::StatusOr<Profile> Summarise(absl::Span<const RankTrace> traces,
                                  DType compute);

}  // namespace eisbach::train
