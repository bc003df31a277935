#include "plan/constraints.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/status_macros.h"
#include "plan/why_none.h"

namespace eisbach::plan {
namespace {

// Layouts that are divided anew.
constexpr size_t kSeeds = 8;
// Of a number of devices, how near to the fewest it has to be.
constexpr double kNearEnough = 31.0 / 30;

std::vector<Layout> Seeds(const SearchResult& found) {
  std::vector<Layout> seeds;
  std::set<std::tuple<int, int, int>> known;
  for (const Candidate& candidate : found.fitting) {
    const Layout& layout = candidate.layout;
    if (seeds.size() == kSeeds) break;
    if (!known.insert({layout.tensor, layout.context, layout.pipeline})
             .second) {
      continue;
    }
    seeds.push_back(layout);
  }
  return seeds;
}

// What of a layout stays on so many devices; nothing where it has no room.
std::optional<Fixed> Kept(const Layout& layout, const Fixed& fixed,
                          int64_t devices) {
  Fixed kept = fixed;
  kept.tensor = layout.tensor;
  kept.context = layout.context;
  kept.micro_batch = layout.micro_batch;
  int64_t pipeline = layout.pipeline;
  while (int64_t{1} * layout.tensor * layout.context * pipeline > devices) {
    if (pipeline == 1 || fixed.pipeline) return std::nullopt;
    pipeline = (pipeline + 1) / 2;
  }
  kept.pipeline = static_cast<int>(pipeline);
  if (pipeline == layout.pipeline) {
    kept.schedule = layout.schedule;
    kept.chunks = layout.chunks;
  }
  return kept;
}

// Of one search, the best.
absl::StatusOr<std::optional<Candidate>> BestOf(const Neighbours& search,
                                                const SearchOptions& options) {
  absl::StatusOr<SearchResult> found =
      Search(search.config, search.hardware, options);
  // Stages that do not divide the layers, and the like.
  if (absl::IsInvalidArgument(found.status())) return std::nullopt;
  EISBACH_RETURN_IF_ERROR(found.status());
  if (found->fitting.empty()) return std::nullopt;
  return std::move(found->fitting.front());
}

// The best of the seeds by `ranking`.
absl::StatusOr<std::optional<Candidate>> DividedAnew(const Neighbours& search,
                                                     const Ranking& ranking,
                                                     int64_t devices) {
  SearchOptions options = search.options;
  options.devices = static_cast<int>(devices);
  options.ranking = ranking;
  options.ranking.most_hours = 0;
  std::vector<SearchOptions> searches;
  for (const Layout& seed : Seeds(search.found)) {
    const std::optional<Fixed> kept = Kept(seed, search.options.fixed, devices);
    if (!kept) continue;
    searches.push_back(options);
    searches.back().fixed = *kept;
  }
  const auto count = static_cast<int64_t>(searches.size());
  std::vector<absl::StatusOr<std::optional<Candidate>>> found(searches.size(),
                                                              std::nullopt);
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < count; ++i) found[i] = BestOf(search, searches[i]);
  std::optional<Candidate> best;
  for (absl::StatusOr<std::optional<Candidate>>& one : found) {
    EISBACH_ASSIGN_OR_RETURN(std::optional<Candidate> candidate,
                             std::move(one));
    if (candidate && (!best || candidate->score < best->score)) {
      best = std::move(candidate);
    }
  }
  return best;
}

}  // namespace

absl::StatusOr<std::optional<Candidate>> BestOn(const Neighbours& search,
                                                int devices) {
  Ways ways = WaysOf(search.config, search.hardware, search.options);
  ways.devices = devices;
  if (!AnyLayout(ways)) return WhyNone(ways);
  return DividedAnew(search, search.options.ranking, devices);
}

absl::StatusOr<Candidate> FewestDevices(const Neighbours& search) {
  if (search.found.fitting.empty()) {
    return absl::InvalidArgumentError("nothing fits on any number of devices");
  }
  Ranking ranking = search.options.ranking;
  ranking.by = RankBy::kTime;  // the quickest are in time first
  const auto fewer = [](const Candidate& a, const Candidate& b) {
    return a.layout.devices() < b.layout.devices();
  };
  Candidate fewest = *std::min_element(search.found.fitting.begin(),
                                       search.found.fitting.end(), fewer);
  const auto count = [&] { return fewest.layout.devices(); };
  int64_t too_few = 0;
  if (ranking.most_hours > 0) {
    // Fewer devices wait and exchange less, but that is no half of their time:
    // so many are needed at least.
    const double hours =
        CostOn(count(), UseOf(fewest.forecast), ranking, search.hardware).hours;
    const double share = std::min(hours / ranking.most_hours, 1.0) / 2;
    too_few = static_cast<int64_t>(share * static_cast<double>(count()));
  }
  while (count() > too_few + 1 &&
         static_cast<double>(count()) >
             kNearEnough * static_cast<double>(too_few)) {
    const int64_t middle = too_few + (count() - too_few) / 2;
    EISBACH_ASSIGN_OR_RETURN(std::optional<Candidate> candidate,
                             DividedAnew(search, ranking, middle));
    if (candidate &&
        InTime(candidate->layout.devices(), UseOf(candidate->forecast), ranking,
               search.hardware)) {
      fewest = *std::move(candidate);
    } else {
      too_few = middle;
    }
  }
  return fewest;
}

absl::StatusOr<int64_t> DevicesOf(double watts, const Hardware& hardware) {
  const double each = hardware.busy_watts * hardware.site_factor;
  if (!(each > 0)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "power_cap=%g MW: hardware %s does not say what a device draws "
        "(power.busy_watts); nearest that works: no cap",
        watts / 1e6, hardware.name));
  }
  if (!(watts >= each)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "power_cap=%g MW: one device of %s draws %.0f W at full load, "
        "%.0f W with what the site adds; nearest that works: power_cap=%g",
        watts / 1e6, hardware.name, hardware.busy_watts, each,
        std::ceil(each) / 1e6));
  }
  return static_cast<int64_t>(
      std::min(watts / each, 1.0 * std::numeric_limits<int>::max()));
}

absl::StatusOr<SearchResult> SearchFed(const train::EngineConfig& config,
                                       const Hardware& hardware,
                                       const SearchOptions& options,
                                       double watts) {
  EISBACH_RETURN_IF_ERROR(Check(hardware));
  EISBACH_ASSIGN_OR_RETURN(const int64_t devices, DevicesOf(watts, hardware));
  if (devices >= options.devices) return Search(config, hardware, options);
  SearchOptions fed = options;
  fed.devices = static_cast<int>(devices);
  absl::StatusOr<SearchResult> found = Search(config, hardware, fed);
  if (found.ok() && !found->fitting.empty()) return found;
  // What it would take.
  EISBACH_ASSIGN_OR_RETURN(const SearchResult all,
                           Search(config, hardware, options));
  if (all.fitting.empty()) return found;
  EISBACH_ASSIGN_OR_RETURN(const Candidate fewest,
                           FewestDevices({config, hardware, options, all}));
  const double least = static_cast<double>(fewest.layout.devices()) *
                       hardware.busy_watts * hardware.site_factor;
  return absl::InvalidArgumentError(absl::StrFormat(
      "power_cap=%g MW feeds %d devices of %s at full load, on which no layout "
      "%s; nearest that works: power_cap=%.6g, for %d devices",
      watts / 1e6, devices, hardware.name,
      options.ranking.most_hours > 0 ? "fits and is in time" : "fits",
      std::ceil(least) / 1e6, fewest.layout.devices()));
}

}  // namespace eisbach::plan
