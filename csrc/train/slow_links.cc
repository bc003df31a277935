#include "train/slow_links.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/median.h"

namespace eisbach::train {
namespace {

using watch::RankAndHost;

constexpr size_t kFewestOfARing = 3;
constexpr double kAlike = 0.25;  // of the factor of the worst

std::string Ends(const LinkReading& link, absl::Span<const std::string> hosts) {
  return absl::StrCat("the link between ", RankAndHost(link.a, hosts), " and ",
                      RankAndHost(link.b, hosts));
}

std::string TwoDigits(double value) {
  return absl::StrFormat(value < 10 ? "%.2g" : "%.0f", value);
}

std::string FiguresText(const LinkReading& link) {
  return absl::StrCat(TwoDigits(link.gigabytes), " GB/s and ",
                      TwoDigits(1e3 * link.seconds), " ms");
}

std::string ChangeText(const LinkChange& change) {
  return absl::StrCat(FiguresText(change.now), ", where it had ",
                      FiguresText(change.before));
}

std::string WaitText(const watch::NetworkDelay& delay) {
  return absl::StrCat("ranks wait ", TwoDigits(delay.excess),
                      " s longer in each step, most in ",
                      watch::Spelled(delay.part));
}

bool AnySlow(absl::Span<const LinkChange> changes) {
  return !changes.empty() && changes.front().slow();
}

// The only host that all links have a rank on; empty where there is none, or
// they lie between two.
std::string HostOfAll(const std::vector<LinkReading>& links,
                      absl::Span<const std::string> hosts) {
  std::set<std::string> common = {hosts[links[0].a], hosts[links[0].b]};
  for (const LinkReading& link : links) {
    std::erase_if(common, [&](const std::string& host) {
      return host != hosts[link.a] && host != hosts[link.b];
    });
  }
  return common.size() == 1 ? *common.begin() : "";
}

// Of those that have suffered as the worst has; empty where it is alone.
std::string OthersText(absl::Span<const LinkChange> changes,
                       absl::Span<const std::string> hosts) {
  std::vector<LinkReading> alike;
  for (const LinkChange& one : changes) {
    const bool so = one.factor() >= kAlike * changes.front().factor();
    if (one.slow() && so) alike.push_back(one.now);
  }
  if (alike.size() == 1) return "";
  const std::string host = HostOfAll(alike, hosts);
  return absl::StrCat("; ", alike.size(), " of ", changes.size(),
                      " links are as slow",
                      host.empty() ? "" : ", all with a rank on ", host);
}

}  // namespace

double LinkChange::factor() const {
  const double megabyte = 1e-3 / now.gigabytes - 1e-3 / before.gigabytes;
  const bool bytes = !now.in_memory || megabyte >= kSlowMegabyteSeconds;
  const bool messages = now.seconds >= before.seconds + kSlowMessageSeconds;
  return std::max(bytes ? bytes_factor() : 0,
                  messages ? now.seconds / before.seconds : 0);
}

std::vector<LinkReading> BetterReadings(absl::Span<const LinkReading> one,
                                        absl::Span<const LinkReading> other) {
  std::vector<LinkReading> better(one.begin(), one.end());
  for (size_t i = 0; i < better.size(); ++i) {
    better[i].gigabytes = std::max(better[i].gigabytes, other[i].gigabytes);
    better[i].seconds = std::min(better[i].seconds, other[i].seconds);
  }
  return better;
}

std::vector<LinkChange> LinkChanges(absl::Span<const LinkReading> before,
                                    absl::Span<const LinkReading> now) {
  std::vector<LinkChange> changes;
  for (size_t i = 0; i < now.size(); ++i) {
    changes.push_back({.now = now[i], .before = before[i]});
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const LinkChange& a, const LinkChange& b) {
                     return std::pair(a.factor(), a.bytes_factor()) >
                            std::pair(b.factor(), b.bytes_factor());
                   });
  return changes;
}

std::vector<std::string> SlowFromTheStart(absl::Span<const LinkReading> links,
                                          absl::Span<const std::string> hosts) {
  std::map<int, std::vector<LinkReading>> rings;
  for (const LinkReading& link : links) {
    if (hosts[link.a] != hosts[link.b]) rings[link.ring].push_back(link);
  }
  std::vector<std::string> lines;
  for (const auto& [unused, ring] : rings) {
    if (ring.size() < kFewestOfARing) continue;
    std::vector<double> rates;
    for (const LinkReading& link : ring) rates.push_back(link.gigabytes);
    const double median = UpperMedian(std::move(rates));
    for (const LinkReading& link : ring) {
      if (link.gigabytes * kSlowLinkFactor > median) continue;
      lines.push_back(
          absl::StrCat(Ends(link, hosts), ", of ", link.axes.ToString(),
                       ", is slower than its like: ", TwoDigits(link.gigabytes),
                       " GB/s, where the median is ", TwoDigits(median)));
    }
  }
  return lines;
}

std::string DelayText(const watch::NetworkDelay& delay,
                      absl::Span<const LinkChange> changes,
                      absl::Span<const std::string> hosts) {
  const LinkChange& worst = changes.front();
  if (!AnySlow(changes)) {
    return absl::StrCat(WaitText(delay), ", since step ", delay.since,
                        ", and no link between neighbours is slow: the worst, ",
                        "between ", RankAndHost(worst.now.a, hosts), " and ",
                        RankAndHost(worst.now.b, hosts), ", has ",
                        ChangeText(worst));
  }
  return absl::StrCat(Ends(worst.now, hosts), ", of ",
                      worst.now.axes.ToString(), ", is slow since step ",
                      delay.since, ": ", ChangeText(worst),
                      OthersText(changes, hosts), "; ", WaitText(delay));
}

std::string DelayOverText(const watch::NetworkDelay& delay,
                          absl::Span<const LinkChange> changes,
                          absl::Span<const std::string> hosts) {
  if (!AnySlow(changes)) {
    return absl::StrCat("ranks no longer wait longer than usual since step ",
                        delay.over);
  }
  return absl::StrCat(Ends(changes.front().now, hosts),
                      " no longer holds steps up since step ", delay.over);
}

}  // namespace eisbach::train
