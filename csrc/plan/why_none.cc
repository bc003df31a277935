#include "plan/why_none.h"

#include <bit>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::plan {
namespace {

using Keys = std::vector<const FixedKey*>;

Fixed Only(const Keys& keys, const Fixed& fixed) {
  Fixed only;
  for (const FixedKey* key : keys) key->copy(fixed, only);
  return only;
}

Ways With(Ways ways, Fixed fixed) {
  ways.fixed = std::move(fixed);
  return ways;
}

std::string Spell(const FixedKey& key, const Fixed& fixed) {
  return absl::StrCat(key.name, "=", key.spell(fixed));
}

// The fewest of `given` that leave no layout; empty where all leave some.
Keys FewestInTheWay(const Ways& ways, const Keys& given) {
  for (int size = 1; size <= static_cast<int>(given.size()); ++size) {
    for (unsigned set = 1; set < 1U << given.size(); ++set) {
      if (std::popcount(set) != size) continue;
      Keys keys;
      for (size_t i = 0; i < given.size(); ++i) {
        if ((set >> i & 1) != 0) keys.push_back(given[i]);
      }
      const Fixed only = Only(keys, ways.fixed);
      if (!AnyLayout(With(ways, only))) return keys;
    }
  }
  return {};
}

// The value of `key` nearest to what is given with which `fixed` leaves some.
std::optional<std::string> Nearest(const Ways& ways, const FixedKey& key,
                                   Fixed fixed) {
  key.copy({}, fixed);
  Ways others = With(ways, fixed);
  others.whole = key.key;
  std::optional<std::pair<double, double>> least;
  Fixed nearest;
  VisitLayouts(others, [&](const Layout& layout) {
    const auto distance = key.distance(ways.fixed, layout);
    if (!least || distance < *least) {
      least = distance;
      key.take(nearest, layout);
    }
    return true;
  });
  if (!least) return std::nullopt;
  return Spell(key, nearest);
}

// That of each of them, where there is one.
std::vector<std::string> NearestOfEach(const Ways& ways, const Keys& keys,
                                       const Fixed& fixed) {
  std::vector<std::string> values;
  for (const FixedKey* key : keys) {
    std::optional<std::string> nearest = Nearest(ways, *key, fixed);
    if (nearest) values.push_back(*std::move(nearest));
  }
  return values;
}

std::string Spell(const Obstacle& met, const Ways& ways) {
  const Layout& layout = met.layout;
  switch (met.rule) {
    case Rule::kPositive:
      return "is below 1";
    case Rule::kRows:
      return absl::StrCat(
          "2 x context = ", 2 * layout.context,
          " does not divide model.context=", ways.config.model.context);
    case Rule::kDevices:
      return absl::StrCat(
          "data x tensor x pipeline x context = ", layout.devices(),
          " is more than the ",
          ways.devices == 1 ? "one device"
                            : absl::StrCat(ways.devices, " devices"));
    case Rule::kBatch:
      return absl::StrCat(
          "data x micro_batch = ", layout.data * layout.micro_batch,
          " does not divide train.global_batch=", ways.config.global_batch);
    case Rule::kExperts:
      return absl::StrCat("does not divide both experts=", ways.experts,
                          " and the ranks of a stage (data x context x tensor) "
                          "on any layout of at most ",
                          ways.devices, " devices");
    case Rule::kChunks: {
      const parallel::ChunkLimits limits =
          parallel::ChunksOf(layout.schedule).value();
      return absl::StrCat("schedule ", layout.schedule, " runs ",
                          limits.least == limits.most ? "" : "at least ",
                          limits.least,
                          limits.least == 1 ? " chunk" : " chunks",
                          " of a stage, not ", layout.chunks);
    }
    case Rule::kLayers:
      return absl::StrCat(
          "pipeline x chunks = ", layout.pipeline * layout.chunks,
          " needs as many layers, and model.layers=", ways.config.model.layers);
  }
  return "";
}

}  // namespace

absl::Status WhyNone(const Ways& ways) {
  Keys given;
  for (const FixedKey* key : GivenKeys(ways.fixed)) {
    if (key->key != Key::kOther) given.push_back(key);
  }
  const Keys keys = FewestInTheWay(ways, given);
  const Fixed only = Only(keys, ways.fixed);
  const std::optional<Obstacle> met =
      VisitLayouts(With(ways, only), [](const Layout&) { return true; });
  std::vector<std::string> names;
  for (const FixedKey* key : keys) names.push_back(Spell(*key, ways.fixed));
  std::vector<std::string> values = NearestOfEach(ways, keys, ways.fixed);
  // Where others are in the way as well, what these can be without them.
  if (values.empty()) values = NearestOfEach(ways, keys, only);
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(names, " and "), ": ",
                   met ? Spell(*met, ways) : "there is no layout",
                   "; nearest that works: ", absl::StrJoin(values, " or ")));
}

}  // namespace eisbach::plan
