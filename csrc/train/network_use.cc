#include "train/network_use.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "train/gather_json.h"

namespace eisbach::train {
namespace {

using Json = nlohmann::json;
using parallel::AxisSet;
using parallel::Mesh;

comm::Communicator& GroupOf(const parallel::ParallelContext& context,
                            AxisSet axes) {
  if (axes.Contains(Axis::kTensor)) return context.tensor();
  if (axes.Contains(Axis::kPipeline)) return context.pipeline();
  return axes.Contains(Axis::kData) ? context.data() : context.context();
}

GroupNetwork NetworkOf(comm::Communicator& group) {
  GroupNetwork network{.transport = std::string(group.transport())};
  const absl::StatusOr<comm::Interconnect> found = group.interconnect();
  if (found.ok()) {
    network.interconnect = *found;
  } else {
    network.unknown = std::string(found.status().message());
  }
  return network;
}

Json NetworkJson(const GroupNetwork& network) {
  Json all = {network.transport, network.unknown};
  if (network.interconnect) {
    all.push_back(network.interconnect->multimem);
    all.push_back(network.interconnect->nvlink_domains);
  }
  return all;
}

// Of what NetworkJson made.
GroupNetwork NetworkOfJson(const Json& all) {
  GroupNetwork network{.transport = all[0].get<std::string>(),
                       .unknown = all[1].get<std::string>()};
  if (all.size() > 2) {
    network.interconnect = {.multimem = all[2].get<bool>(),
                            .nvlink_domains = all[3].get<int>()};
  }
  return network;
}

std::string Describe(const GroupNetwork& network) {
  if (!network.interconnect) return network.transport;
  const int domains = network.interconnect->nvlink_domains;
  return absl::StrCat(network.transport,
                      network.interconnect->multimem
                          ? ", NVLink switches add (NVLS)"
                          : ", no NVLS",
                      ", ", domains, " NVLink domain", domains == 1 ? "" : "s");
}

// Why a group does not have what is required; empty when it does.
std::string LackOfNvls(const GroupNetwork& network) {
  if (!network.interconnect) return network.unknown;
  if (network.interconnect->multimem) return "";
  return absl::StrCat("no NVLink switch adds for it; it has ",
                      Describe(network));
}
std::string LackOfMnnvl(const GroupNetwork& network, int hosts) {
  if (hosts == 1) return "";
  if (!network.interconnect) return network.unknown;
  if (network.interconnect->nvlink_domains == 1) return "";
  return absl::StrCat("its ranks are on ", hosts, " hosts and in ",
                      network.interconnect->nvlink_domains, " NVLink domains");
}

bool Covers(Required required, AxisSet axes) {
  if (axes.Contains(Axis::kTensor)) return required != Required::kOfNone;
  return !axes.Contains(Axis::kPipeline) &&
         required == Required::kOfTensorAndDataGroups;
}

absl::Status Missing(absl::string_view key, AxisSet axes,
                     const std::vector<int>& group, absl::string_view lack) {
  constexpr size_t kShown = 8;
  const size_t shown = std::min(group.size(), kShown);
  return absl::InvalidArgumentError(absl::StrCat(
      key, " is required, and the ", axes.ToString(), " group of ranks ",
      absl::StrJoin(group.begin(), group.begin() + shown, ", "),
      shown < group.size() ? ", ..." : "", " does not have it: ", lack,
      ". `eisbach doctor --network` measures the links; `auto` takes what is "
      "there (network.",
      key, ")"));
}

}  // namespace

std::vector<AxisSet> AxesInUse(const Mesh& mesh) {
  const bool divides_rows = mesh.size(Axis::kContext) > 1;
  std::vector<AxisSet> kinds = {{Axis::kTensor}, {Axis::kContext}};
  if (mesh.size(Axis::kData) > 1) {
    kinds.push_back(divides_rows ? AxisSet{Axis::kData, Axis::kContext}
                                 : AxisSet{Axis::kData});
  }
  kinds.push_back({Axis::kPipeline});
  std::erase_if(kinds, [&](AxisSet axes) { return mesh.size(axes) == 1; });
  return kinds;
}

std::vector<std::vector<int>> GroupsAlong(const Mesh& mesh, AxisSet axes) {
  const int size = mesh.size(axes);
  std::vector<std::vector<int>> groups(mesh.world_size() / size,
                                       std::vector<int>(size));
  for (int rank = 0; rank < mesh.world_size(); ++rank) {
    const parallel::SplitArguments split = mesh.GroupSplit(rank, axes);
    groups[split.color][split.key] = rank;
  }
  return groups;
}

absl::StatusOr<std::vector<AxisNetwork>> GatherNetwork(
    const parallel::ParallelContext& context) {
  std::vector<AxisNetwork> axes;
  Json mine = Json::array();
  for (const AxisSet kind : AxesInUse(context.mesh())) {
    axes.push_back({.axes = kind});
    mine.push_back(NetworkJson(NetworkOf(GroupOf(context, kind))));
  }
  if (axes.empty()) return axes;
  EISBACH_ASSIGN_OR_RETURN(const std::vector<Json> ranks,
                           GatherJson(mine, context.world()));
  for (const Json& rank : ranks) {
    for (size_t i = 0; i < axes.size(); ++i) {
      axes[i].by_rank.push_back(NetworkOfJson(rank[i]));
    }
  }
  return axes;
}

std::string NetworkText(const Mesh& mesh, absl::Span<const AxisNetwork> axes) {
  std::vector<std::string> lines;
  for (const AxisNetwork& one : axes) {
    std::map<std::string, int> counts;
    for (const std::vector<int>& group : GroupsAlong(mesh, one.axes)) {
      ++counts[Describe(one.by_rank[group.front()])];
    }
    const std::string title = absl::StrCat(one.axes.ToString(), " groups of ",
                                           mesh.size(one.axes), ": ");
    if (counts.size() == 1) {
      lines.push_back(absl::StrCat(title, counts.begin()->first));
      continue;
    }
    lines.push_back(absl::StrCat(
        title, absl::StrJoin(counts, "; ", [](std::string* out, auto& entry) {
          absl::StrAppend(out, entry.second, " have ", entry.first);
        })));
  }
  return absl::StrJoin(lines, "\n");
}

absl::StatusOr<Required> RequiredByName(absl::string_view name) {
  if (name == "auto") return Required::kOfNone;
  if (name == "tensor") return Required::kOfTensorGroups;
  if (name == "required") return Required::kOfTensorAndDataGroups;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is none of: auto, tensor, required"));
}

absl::Status CheckRequirements(const Mesh& mesh,
                               absl::Span<const RankLocation> locations,
                               absl::Span<const AxisNetwork> axes,
                               const NetworkRequirements& requirements) {
  for (const AxisNetwork& one : axes) {
    for (const std::vector<int>& group : GroupsAlong(mesh, one.axes)) {
      const GroupNetwork& network = one.by_rank[group.front()];
      if (Covers(requirements.nvls, one.axes)) {
        const std::string lack = LackOfNvls(network);
        if (!lack.empty()) return Missing("nvls", one.axes, group, lack);
      }
      if (Covers(requirements.mnnvl, one.axes)) {
        std::set<std::string> hosts;
        for (int rank : group) hosts.insert(locations[rank].host);
        const std::string lack =
            LackOfMnnvl(network, static_cast<int>(hosts.size()));
        if (!lack.empty()) return Missing("mnnvl", one.axes, group, lack);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace eisbach::train
