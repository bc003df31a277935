#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace eisbach::data {

// Which source a sample comes from, when several are blended by weight, as a
// pure function of the sample's index: any index can be asked alone.
//
// Sample g stands at the fraction g x phi mod 1 (phi the golden ratio) of a
// line on which each source owns an interval as long as its weight. These
// points are spread as evenly as points can be, so every stretch of samples
// holds the sources in proportion. How many earlier samples fell into an
// interval is a sum of floors, which Euclid's algorithm adds up in O(log).
class Blend {
 public:
  struct Choice {
    int source;
    int64_t index;  // how many earlier samples came from this source
  };

  // Weights are positive and finite; only their ratios matter. InvalidArgument
  // otherwise, or when a share is below 2^-32.
  static absl::StatusOr<Blend> Make(absl::Span<const double> weights);

  Choice operator()(int64_t sample) const;  // sample >= 0

 private:
  explicit Blend(std::vector<uint64_t> bounds) : bounds_(std::move(bounds)) {}

  std::vector<uint64_t> bounds_;  // source i owns [bounds_[i], bounds_[i + 1])
};

}  // namespace eisbach::data
