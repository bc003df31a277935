#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/median.h"
#include "device/step_clock.h"

namespace eisbach::watch {

// What one rank took in one step, in seconds.
struct RankStep {
  StepParts busy{};     // of its own
  StepParts waiting{};  // for others
};

double Sum(const StepParts& parts);
// Seconds of a step: what half of the ranks took, working and waiting.
double WholeStep(const std::vector<RankStep>& ranks);
// "rank 3 (node7)"; `hosts` by rank.
std::string RankAndHost(int rank, absl::Span<const std::string> hosts);
// In a sentence: "reducing gradients".
absl::string_view Spelled(StepPart part);

// Of what `value` gives for each of the range, the lower one of two.
template <typename Range, typename Value>
double MedianOf(const Range& range, Value&& value) {
  std::vector<double> values;
  for (const auto& one : range) values.push_back(value(one));
  return LowerMedian(std::move(values));
}

// Of each part by itself; `parts_of` gives those of one of the range.
template <typename Range, typename PartsOf>
StepParts Medians(const Range& range, PartsOf&& parts_of) {
  StepParts medians{};
  for (int part = 0; part < kNumStepParts; ++part) {
    medians[part] =
        MedianOf(range, [&](const auto& one) { return parts_of(one)[part]; });
  }
  return medians;
}

}  // namespace eisbach::watch
