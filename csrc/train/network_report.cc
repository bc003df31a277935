#include "train/network_report.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/median.h"
#include "core/text_table.h"

namespace eisbach::train {
namespace {

enum class PairKind { kDomain, kHost, kNetwork };

PairKind KindOf(const PairReading& pair,
                absl::Span<const RankLocation> locations) {
  const RankLocation &a = locations[pair.a], &b = locations[pair.b];
  if (a.domain() == b.domain()) return PairKind::kDomain;
  return a.host == b.host ? PairKind::kHost : PairKind::kNetwork;
}

std::string CheckName(PairKind kind) {
  switch (kind) {
    case PairKind::kDomain:
      return "pairs in a domain";
    case PairKind::kHost:
      return "pairs in a host";
    case PairKind::kNetwork:
      return "pairs of hosts";
  }
  return "?";
}

std::string NameOf(int rank, absl::Span<const RankLocation> locations) {
  return absl::StrCat(rank, " (", locations[rank].host, ")");
}

// Of an even number of values the upper median, so that of two the slower is
// measured by the faster.
bool IsSlow(double value, double median) {
  return value < kOutlierShare * median;
}

std::vector<double> Present(const std::vector<double>& values) {
  std::vector<double> present;
  for (double value : values) {
    if (value > 0) present.push_back(value);
  }
  return present;
}

// One value a group, the median of its ranks; those of ranks by themselves.
std::map<int, double> GroupValues(const RankReadings& readings) {
  std::map<int, std::vector<double>> by_group;
  for (size_t rank = 0; rank < readings.by_rank.size(); ++rank) {
    if (readings.by_rank[rank] <= 0) continue;
    const int group = readings.group_of.empty() ? static_cast<int>(rank)
                                                : readings.group_of[rank];
    by_group[group].push_back(readings.by_rank[rank]);
  }
  std::map<int, double> values;
  for (const auto& [group, all] : by_group) values[group] = UpperMedian(all);
  return values;
}

void FindSlowRanks(const RankReadings& readings,
                   absl::Span<const RankLocation> locations,
                   std::vector<Outlier>& found) {
  const std::map<int, double> values = GroupValues(readings);
  std::vector<double> all;
  for (const auto& [unused, value] : values) all.push_back(value);
  const double median = UpperMedian(all);
  for (const auto& [group, value] : values) {
    if (!IsSlow(value, median)) continue;
    std::string who;
    if (readings.group_of.empty()) {
      who = absl::StrCat("rank ", NameOf(group, locations));
    } else {
      const auto first =
          std::find(readings.group_of.begin(), readings.group_of.end(), group);
      const int rank = static_cast<int>(first - readings.group_of.begin());
      who = absl::StrCat("the domain of rank ", NameOf(rank, locations));
    }
    found.push_back({readings.check, who, value, median, readings.unit});
  }
}

void FindSlowPairs(PairKind kind, const std::vector<PairReading>& pairs,
                   absl::Span<const RankLocation> locations,
                   std::vector<Outlier>& found) {
  std::vector<double> all;
  std::map<int, std::vector<double>> by_rank;
  for (const PairReading& pair : pairs) {
    all.push_back(pair.gigabytes);
    by_rank[pair.a].push_back(pair.gigabytes);
    by_rank[pair.b].push_back(pair.gigabytes);
  }
  const double median = UpperMedian(all);
  std::set<int> slow;
  for (const auto& [rank, values] : by_rank) {
    const double value = UpperMedian(values);
    // One pair tells nothing about which of the two it is.
    if (values.size() < 2 || !IsSlow(value, median)) continue;
    slow.insert(rank);
    found.push_back({CheckName(kind),
                     absl::StrCat("rank ", NameOf(rank, locations)), value,
                     median, "GB/s"});
  }
  for (const PairReading& pair : pairs) {
    if (slow.count(pair.a) + slow.count(pair.b) > 0) continue;
    if (!IsSlow(pair.gigabytes, median)) continue;
    found.push_back({CheckName(kind),
                     absl::StrCat("ranks ", NameOf(pair.a, locations), " and ",
                                  NameOf(pair.b, locations)),
                     pair.gigabytes, median, "GB/s"});
  }
}

std::map<PairKind, std::vector<PairReading>> ByKind(
    const std::vector<PairReading>& pairs,
    absl::Span<const RankLocation> locations) {
  std::map<PairKind, std::vector<PairReading>> by_kind;
  for (const PairReading& pair : pairs) {
    by_kind[KindOf(pair, locations)].push_back(pair);
  }
  return by_kind;
}

std::string Figure(double value) {
  return absl::StrFormat(value < 10 ? "%.2f" : "%.1f", value);
}

std::vector<std::string> Row(const std::string& check, const std::string& unit,
                             std::vector<double> values,
                             const std::string& slowest) {
  std::sort(values.begin(), values.end());
  return {check,
          unit,
          Figure(values.front()),
          Figure(UpperMedian(values)),
          Figure(values.back()),
          slowest};
}

}  // namespace

std::vector<Outlier> NetworkReport::Outliers(
    absl::Span<const RankLocation> locations) const {
  std::vector<Outlier> found;
  for (const RankReadings& readings : ranks) {
    FindSlowRanks(readings, locations, found);
  }
  for (const auto& [kind, of_kind] : ByKind(pairs, locations)) {
    FindSlowPairs(kind, of_kind, locations, found);
  }
  return found;
}

std::string NetworkReport::Table(
    absl::Span<const RankLocation> locations) const {
  std::vector<std::vector<std::string>> rows = {
      {"check", "unit", "slowest", "median", "fastest", "slowest is"}};
  for (const RankReadings& readings : ranks) {
    const std::vector<double> present = Present(readings.by_rank);
    if (present.empty()) continue;
    const double least = *std::min_element(present.begin(), present.end());
    const auto at =
        std::find(readings.by_rank.begin(), readings.by_rank.end(), least);
    const int rank = static_cast<int>(at - readings.by_rank.begin());
    rows.push_back(Row(readings.check, readings.unit, present,
                       absl::StrCat("rank ", NameOf(rank, locations))));
  }
  for (const auto& [kind, of_kind] : ByKind(pairs, locations)) {
    std::vector<double> values;
    const PairReading* least = &of_kind.front();
    for (const PairReading& pair : of_kind) {
      values.push_back(pair.gigabytes);
      if (pair.gigabytes < least->gigabytes) least = &pair;
    }
    rows.push_back(Row(CheckName(kind), "GB/s", values,
                       absl::StrCat("ranks ", NameOf(least->a, locations),
                                    " and ", NameOf(least->b, locations))));
  }
  return TextTable(rows);
}

std::string ToText(const Outlier& outlier) {
  return absl::StrCat(outlier.who, ": ", outlier.check, " ",
                      Figure(outlier.value), " ", outlier.unit,
                      ", the median is ", Figure(outlier.median));
}

}  // namespace eisbach::train
