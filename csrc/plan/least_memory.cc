#include "plan/least_memory.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/status_macros.h"
#include "plan/layout_bounds.h"
#include "plan/why_none.h"

namespace eisbach::plan {
namespace {

// Layouts that might take so much less than the least that is known are not
// looked at.
constexpr double kAlike = 0.99;

struct Way {
  double least;  // bytes
  Layout layout;
};

// All that a division of the devices may do to take little.
std::vector<Layout> Smallest(const Fixed& fixed, Layout layout,
                             LayoutBounds& bounds) {
  std::vector<Layout> ways;
  std::vector<int> zeros = ZerosOf(fixed, layout);
  // What nobody divides takes no less.
  if (zeros.size() > 1) zeros.erase(zeros.begin());
  for (layout.zero = zeros.front(); layout.zero <= zeros.back();
       ++layout.zero) {
    for (const nn::Recompute recompute : RecomputesOf(fixed)) {
      layout.recompute = recompute;
      layout.recompute_layers = fixed.recompute_layers.value_or(kAllBlocks);
      ways.push_back(layout);
      // All may take more than all but one (LayoutBounds::FewestRecomputed).
      const int64_t fewer = bounds.MostBlocks(layout) - 1;
      if (fixed.recompute_layers || recompute == nn::Recompute::kNothing ||
          fewer < 1) {
        continue;
      }
      layout.recompute_layers = fewer;
      ways.push_back(layout);
    }
  }
  return ways;
}

// Least first; those last that cannot be.
std::vector<Way> EachWay(const train::EngineConfig& config,
                         const Hardware& hardware, const SearchOptions& options,
                         const std::vector<Layout>& layouts) {
  LayoutBounds bounds(config, hardware, options.play);
  std::vector<Way> ways;
  for (const Layout& layout : layouts) {
    for (const Layout& small : Smallest(options.fixed, layout, bounds)) {
      ways.push_back({0, small});
    }
  }
  const auto count = static_cast<int64_t>(ways.size());
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < count; ++i) {
    ways[i].least = bounds.Of(ways[i].layout).memory;
  }
  std::stable_sort(ways.begin(), ways.end(), [](const Way& a, const Way& b) {
    return std::make_pair(a.least == 0, a.least) <
           std::make_pair(b.least == 0, b.least);
  });
  return ways;
}

}  // namespace

absl::StatusOr<Candidate> LeastMemory(const train::EngineConfig& config,
                                      const Hardware& hardware,
                                      const SearchOptions& options,
                                      double enough) {
  Ways ways = WaysOf(config, hardware, options);
  ways.by = RankBy::kTime;
  // The fewest tokens at a time keep the least.
  if (!ways.fixed.micro_batch) ways.fixed.micro_batch = 1;
  const std::vector<Layout> layouts = EnumerateLayouts(ways);
  if (layouts.empty()) return WhyNone(ways);
  std::optional<Candidate> least;
  absl::Status refusal;
  for (const Way& way : EachWay(config, hardware, options, layouts)) {
    StepLimits limits;
    if (least) {
      limits.memory = static_cast<double>(least->forecast.memory());
      if (limits.memory <= enough || (enough > 0 && way.least > enough)) break;
      if (way.least == 0 || way.least >= kAlike * limits.memory) break;
    }
    EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh, MeshOf(way.layout));
    PlayOptions play = options.play;
    play.experts = WithLayout(play.experts, way.layout);
    absl::StatusOr<Forecast> forecast =
        ForecastWithin(limits, WithLayout(config, way.layout, mesh, hardware),
                       mesh, hardware, play);
    if (absl::IsResourceExhausted(forecast.status())) continue;
    if (!forecast.ok()) {
      refusal.Update(forecast.status());
    } else if (!least || forecast->memory() < least->forecast.memory()) {
      least = Candidate{way.layout, *std::move(forecast)};
    }
  }
  if (!least) return refusal;
  return *std::move(least);
}

}  // namespace eisbach::plan
