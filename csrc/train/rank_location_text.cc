#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/text_table.h"
#include "train/rank_location.h"

namespace eisbach::train {
namespace {

constexpr size_t kMostRankRows = 64;
constexpr size_t kMostDomainRows = 16;
constexpr size_t kMostAdapters = 4;

std::string SpeedText(double gigabytes) {
  if (gigabytes <= 0) return "speed not known";
  return absl::StrCat(
      gigabytes < 10 ? std::round(gigabytes * 10) / 10 : std::round(gigabytes),
      " GB/s");
}

std::string LinkText(const Link& link) {
  return absl::StrCat(link.name, ", ", SpeedText(link.gigabytes));
}

// The adapters near a rank, and what they move together.
std::string AdaptersText(const std::vector<NetworkAdapter>& adapters) {
  if (adapters.empty()) return "the network, speed not known";
  double gigabytes = 0;
  std::vector<std::string> names;
  for (const NetworkAdapter& one : adapters) {
    gigabytes += one.gigabytes;
    if (names.size() < kMostAdapters) names.push_back(one.name);
  }
  if (adapters.size() > names.size()) names.push_back("...");
  return absl::StrCat("the network (", absl::StrJoin(names, " "), ", ",
                      SpeedText(gigabytes), ")");
}

// "0-3,7,9": ranges where ranks follow one another.
std::string RanksText(const std::vector<int>& ranks) {
  std::vector<std::string> ranges;
  for (size_t first = 0; first < ranks.size(); ++first) {
    size_t last = first;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) {
      ++last;
    }
    ranges.push_back(last == first
                         ? absl::StrCat(ranks[first])
                         : absl::StrCat(ranks[first], "-", ranks[last]));
    first = last;
    if (ranges.size() == 8 && last + 1 < ranks.size()) {
      ranges.push_back(absl::StrCat("...,", ranks.back()));
      break;
    }
  }
  return absl::StrJoin(ranges, ",");
}

std::string NumaText(int node) {
  return node < 0 ? std::string("?") : absl::StrCat(node);
}

}  // namespace

std::string RankTable(absl::Span<const RankLocation> locations) {
  const std::vector<parallel::RankPlace> places = PlacesOf(locations);
  const std::vector<std::vector<int>> domains = parallel::Domains(places);
  std::vector<int> domain_of(locations.size());
  for (size_t i = 0; i < domains.size(); ++i) {
    for (int rank : domains[i]) domain_of[rank] = static_cast<int>(i);
  }
  std::vector<std::vector<std::string>> rows = {
      {"rank", "host", "device", "domain", "numa", "cores", "adapters"}};
  for (size_t rank = 0; rank < locations.size(); ++rank) {
    if (rank == kMostRankRows - 1 && locations.size() > kMostRankRows) {
      rows.push_back({"...", "...", "...", "...", "...", "...", "..."});
      rank = locations.size() - 1;
    }
    const RankLocation& at = locations[rank];
    const std::string device =
        at.device.pci.empty()
            ? at.device.name
            : absl::StrCat(at.device.name, " ", at.device.pci);
    rows.push_back(
        {absl::StrCat(at.rank), at.host, device, absl::StrCat(domain_of[rank]),
         NumaText(at.device.numa_node), CoresText(at.cores),
         absl::StrJoin(at.device.adapters, " ",
                       [](std::string* out, const NetworkAdapter& one) {
                         absl::StrAppend(out, one.name);
                       })});
  }
  std::string text = TextTable(rows);
  for (size_t i = 0; i < domains.size(); ++i) {
    if (i == kMostDomainRows - 1 && domains.size() > kMostDomainRows) {
      absl::StrAppend(&text, "  ... ", domains.size(), " domains\n");
      i = domains.size() - 1;
    }
    const DeviceLocation& first = locations[domains[i].front()].device;
    const size_t size = domains[i].size();
    absl::StrAppend(&text, "  domain ", i, ": ",
                    size == 1 ? "rank " : absl::StrCat(size, " ranks, "),
                    RanksText(domains[i]), "; ",
                    first.domain_link.name.empty()
                        ? ""
                        : absl::StrCat(LinkText(first.domain_link), "; "),
                    first.domain_source, "\n");
  }
  return text;
}

std::string CrossingText(const parallel::Mesh& mesh,
                         absl::Span<const RankLocation> locations) {
  const std::vector<parallel::RankPlace> places = PlacesOf(locations);
  const auto crossing = parallel::FindCrossing(mesh, places);
  if (!crossing) return "";
  const DeviceLocation& device = locations[crossing->example.front()].device;
  std::string inside =
      device.domain_link.name.empty()
          ? ""
          : absl::StrCat(" instead of ", LinkText(device.domain_link));
  return absl::StrCat("parallel.tensor=", mesh.size(Axis::kTensor),
                      " crosses domains: ", crossing->groups, " of ",
                      crossing->of, " tensor groups, such as ranks ",
                      RanksText(crossing->example), " of ", crossing->domains,
                      " domains, talk over ",
                      crossing->leaves_host ? AdaptersText(device.adapters)
                                            : LinkText(device.host_link),
                      inside, "; sizes that stay inside: ",
                      absl::StrJoin(parallel::TensorSizesInside(places), ", "));
}

}  // namespace eisbach::train
