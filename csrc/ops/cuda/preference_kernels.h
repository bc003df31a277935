#pragma once

#include <cuda_runtime_api.h>

#include "ops/preference_rule.h"

namespace eisbach::cuda {

// Pairs of answers, `pairs` rows of `length` tokens; see ops/preference.h.
struct PairShape {
  long long pairs;
  long long length;
};

// losses f32, targets and starts i32, all [pairs, length]; sums f64 [pairs,
// kPairSums]. A block a pair.
cudaError_t LaunchPairSums(const float* losses, const int* targets,
                           const int* starts, const PairShape& shape,
                           double* sums, cudaStream_t stream);

// loss f64 [1]; weights f32 [pairs, length]; totals f64 [kPreferenceTotals].
struct PairResults {
  double* loss;
  float* weights;
  double* totals;
};
cudaError_t LaunchPreference(const ops::PreferenceRule& rule, float scale,
                             const double* policy, const double* reference,
                             const int* starts, const PairShape& shape,
                             const PairResults& results, cudaStream_t stream);

}  // namespace eisbach::cuda
