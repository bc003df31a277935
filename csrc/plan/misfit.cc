#include "plan/misfit.h"

#include <algorithm>
#include <limits>

#include "core/status_macros.h"

namespace eisbach::plan {
namespace {

constexpr int64_t kMostDevices = 1 << 20;
// Of a number of devices, how near to the fewest it has to be.
constexpr double kFewEnough = 9.0 / 8;
// Twice the devices that take more than this of the memory bring no more.
constexpr double kNoLess = 0.99;
// Rows below which nobody trains.
constexpr int64_t kLeastContext = 512;

class Prober {
 public:
  Prober(const train::EngineConfig& config, const Hardware& hardware,
         const SearchOptions& options)
      : config_(config),
        hardware_(hardware),
        options_(options),
        budget_(hardware.memory_bytes * options.memory_share) {}

  absl::StatusOr<Misfit> Run() {
    EISBACH_ASSIGN_OR_RETURN(Candidate least,
                             LeastMemory(config_, hardware_, options_));
    const auto bytes = static_cast<double>(least.forecast.memory());
    Misfit misfit{.least = std::move(least),
                  .memory = bytes / options_.memory_share};
    misfit.devices = FewestDevices(bytes);
    misfit.context = LongestContext();
    for (const FixedKey* key : GivenKeys(options_.fixed)) {
      SearchOptions free = options_;
      key->copy({}, free.fixed);
      if (Fits(config_, free)) misfit.keys.emplace_back(key->name);
    }
    return misfit;
  }

 private:
  // Infinite where no layout is valid.
  double Least(const train::EngineConfig& config,
               const SearchOptions& options) const {
    const absl::StatusOr<Candidate> least =
        LeastMemory(config, hardware_, options, budget_);
    return least.ok() ? static_cast<double>(least->forecast.memory())
                      : std::numeric_limits<double>::infinity();
  }
  bool Fits(const train::EngineConfig& config,
            const SearchOptions& options) const {
    return Least(config, options) <= budget_;
  }
  double LeastOn(int64_t devices) const {
    SearchOptions more = options_;
    more.devices = static_cast<int>(devices);
    return Least(config_, more);
  }

  std::optional<int64_t> FewestDevices(double least) const {
    int64_t few = options_.devices, enough = few;
    // Twice as many may bring nothing where four times as many do.
    for (int in_vain = 0; least > budget_ && in_vain < 2;) {
      few = enough;
      enough *= 2;
      if (enough > kMostDevices) return std::nullopt;
      const double now = LeastOn(enough);
      in_vain = now > kNoLess * least ? in_vain + 1 : 0;
      least = std::min(least, now);
    }
    if (least > budget_) return std::nullopt;
    while (static_cast<double>(enough) >
               kFewEnough * static_cast<double>(few) &&
           enough - few > 1) {
      const int64_t middle = few + (enough - few) / 2;
      (LeastOn(middle) <= budget_ ? enough : few) = middle;
    }
    return enough;
  }

  std::optional<int64_t> LongestContext() const {
    std::optional<int64_t> longest;
    train::EngineConfig config = config_;
    int64_t& context = config.model.context;
    std::vector<int64_t> shorter;
    for (; context % 2 == 0 && context / 2 >= kLeastContext; context /= 2) {
      shorter.push_back(context / 2);
    }
    // The shortest first: where that does not fit, none does.
    std::reverse(shorter.begin(), shorter.end());
    for (const int64_t tokens : shorter) {
      context = tokens;
      if (!Fits(config, options_)) break;
      longest = tokens;
    }
    return longest;
  }

  const train::EngineConfig& config_;
  const Hardware& hardware_;
  const SearchOptions& options_;
  const double budget_;
};

}  // namespace

absl::StatusOr<Misfit> WhatFits(const train::EngineConfig& config,
                                const Hardware& hardware,
                                const SearchOptions& options) {
  return Prober(config, hardware, options).Run();
}

}  // namespace eisbach::plan
