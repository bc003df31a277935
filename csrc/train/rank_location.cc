#include "train/rank_location.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "train/gather_json.h"

namespace eisbach::train {
namespace {

using Json = nlohmann::json;

Json LinkJson(const Link& link) { return {link.name, link.gigabytes}; }

Link LinkOf(const Json& json) {
  return {.name = json[0].get<std::string>(),
          .gigabytes = json[1].get<double>()};
}

Json LocationJson(const RankLocation& at) {
  const DeviceLocation& device = at.device;
  Json adapters = Json::array();
  for (const NetworkAdapter& one : device.adapters) {
    adapters.push_back({one.name, one.gigabytes});
  }
  return {at.host,
          CoresText(at.cores),
          at.threads,
          device.name,
          device.uuid,
          device.pci,
          device.domain,
          device.domain_source,
          LinkJson(device.domain_link),
          LinkJson(device.host_link),
          std::move(adapters),
          device.numa_node,
          device.domain_spans_hosts,
          at.local_rank,
          at.memory};
}

// Of what LocationJson made.
RankLocation LocationOfJson(int rank, const Json& all) {
  RankLocation at;
  at.rank = rank;
  at.host = all[0].get<std::string>();
  at.cores = ParseCores(all[1].get<std::string>());
  at.threads = all[2].get<int>();
  at.local_rank = all[13].get<int>();
  at.memory = all[14].get<int64_t>();
  at.device = {.name = all[3].get<std::string>(),
               .uuid = all[4].get<std::string>(),
               .pci = all[5].get<std::string>(),
               .domain = all[6].get<std::string>(),
               .domain_spans_hosts = all[12].get<bool>(),
               .domain_source = all[7].get<std::string>(),
               .domain_link = LinkOf(all[8]),
               .host_link = LinkOf(all[9]),
               .numa_node = all[11].get<int>()};
  for (const Json& one : all[10]) {
    at.device.adapters.push_back(
        {.name = one[0].get<std::string>(), .gigabytes = one[1].get<double>()});
  }
  return at;
}

// Hosts of one name, such as those that tests make up, have ranks with the same
// number among them: the second to come with a number is on the second host.
void TellHostsApart(std::vector<RankLocation>& locations) {
  std::map<std::pair<std::string, int>, int> seen;
  for (RankLocation& at : locations) {
    const int before = seen[{at.host, at.local_rank}]++;
    if (before > 0) absl::StrAppend(&at.host, ":", before);
  }
}

}  // namespace

absl::StatusOr<std::vector<RankLocation>> GatherLocations(comm::World& world) {
  DeviceLocation device = LocationOf(world.device());
  const bool own = world.device().type() == DeviceType::kCuda;
  const int64_t memory = device.memory / (own ? 1 : world.local_size());
  const RankLocation mine{.rank = world.rank(),
                          .host = HostName(),
                          .local_rank = world.local_rank(),
                          .cores = UsableCores(),
                          .threads = ComputeThreads(),
                          .device = std::move(device),
                          .memory = memory / 10 * 9};
  EISBACH_ASSIGN_OR_RETURN(const std::vector<Json> all,
                           GatherJson(LocationJson(mine), world));
  std::vector<RankLocation> locations;
  for (int rank = 0; rank < world.size(); ++rank) {
    locations.push_back(LocationOfJson(rank, all[rank]));
  }
  TellHostsApart(locations);
  return locations;
}

std::string RankLocation::domain() const {
  return device.domain_spans_hosts ? device.domain
                                   : absl::StrCat(host, " ", device.domain);
}

std::vector<parallel::RankPlace> PlacesOf(
    absl::Span<const RankLocation> locations) {
  std::vector<parallel::RankPlace> places;
  for (const RankLocation& at : locations) {
    places.push_back({.domain = at.domain(),
                      .host = at.host,
                      .numa_node = at.device.numa_node});
  }
  return places;
}

}  // namespace eisbach::train
