#include "watch/rank_step.h"

#include <numeric>

#include "absl/strings/str_cat.h"

namespace eisbach::watch {

double Sum(const StepParts& parts) {
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

double WholeStep(const std::vector<RankStep>& ranks) {
  return MedianOf(
      ranks, [](const RankStep& r) { return Sum(r.busy) + Sum(r.waiting); });
}

std::string RankAndHost(int rank, absl::Span<const std::string> hosts) {
  return absl::StrCat("rank ", rank, " (", hosts[rank], ")");
}

absl::string_view Spelled(StepPart part) {
  switch (part) {
    case StepPart::kHost:
      return "the host's other work";
    case StepPart::kData:
      return "waiting for data";
    case StepPart::kForward:
      return "forward";
    case StepPart::kBackward:
      return "backward";
    case StepPart::kReduction:
      return "reducing gradients";
    case StepPart::kOptimizer:
      return "the optimizer";
  }
  return "?";
}

}  // namespace eisbach::watch
