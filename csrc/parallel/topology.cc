#include "parallel/topology.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace eisbach::parallel {
namespace {

using Groups = std::vector<std::vector<int>>;

// Numbers names in the order in which ranks bring them up.
std::vector<int> Numbered(const std::vector<std::string>& names) {
  std::map<std::string, int> numbers;
  std::vector<int> result;
  result.reserve(names.size());
  for (const std::string& name : names) {
    const int next = static_cast<int>(numbers.size());
    result.push_back(numbers.emplace(name, next).first->second);
  }
  return result;
}

template <typename F>
std::vector<int> NumberedBy(absl::Span<const RankPlace> places, F&& name) {
  std::vector<std::string> names;
  names.reserve(places.size());
  for (const RankPlace& place : places) names.push_back(name(place));
  return Numbered(names);
}

// What a rank belongs to, as numbers in the order of the first ranks.
struct Keys {
  std::vector<int> domain, host, node, host_part, everyone;

  explicit Keys(absl::Span<const RankPlace> places)
      : domain(NumberedBy(places, [](const auto& p) { return p.domain; })),
        host(NumberedBy(places, [](const auto& p) { return p.host; })),
        node(NumberedBy(places,
                        [](const auto& p) {
                          return absl::StrCat(p.numa_node, " of ", p.host);
                        })),
        host_part(NumberedBy(places,
                             [](const auto& p) {
                               return absl::StrCat(p.host, "\n", p.domain);
                             })),
        everyone(places.size(), 0) {}
};

Groups Buckets(const std::vector<int>& ranks, const std::vector<int>& key) {
  std::map<int, std::vector<int>> buckets;
  for (int rank : ranks) buckets[key[rank]].push_back(rank);
  Groups result;
  for (auto& [unused, members] : buckets) result.push_back(std::move(members));
  return result;
}

// Moves the first `count` ranks of `from` to the end of `to`.
void Take(std::vector<int>& from, size_t count, std::vector<int>& to) {
  to.insert(to.end(), from.begin(), from.begin() + count);
  from.erase(from.begin(), from.begin() + count);
}

// A group of `size` of the ranks in `parts`, which have as many, from few of
// them: one that has enough, else the largest and then whatever fits best into
// what is still missing.
std::vector<int> TakeGroup(Groups& parts, size_t size) {
  std::vector<int> group;
  const auto enough =
      std::find_if(parts.begin(), parts.end(),
                   [&](const auto& part) { return part.size() >= size; });
  if (enough != parts.end()) Take(*enough, size, group);
  while (group.size() < size) {
    const size_t missing = size - group.size();
    // The largest that does not exceed what is missing, else the smallest.
    const auto worse = [&](const auto& a, const auto& b) {
      const bool a_fits = a.size() <= missing, b_fits = b.size() <= missing;
      if (a_fits != b_fits) return b_fits;
      return a_fits ? a.size() < b.size() : a.size() > b.size();
    };
    std::erase_if(parts, [](const auto& part) { return part.empty(); });
    auto best = std::max_element(parts.begin(), parts.end(), worse);
    Take(*best, std::min(missing, best->size()), group);
  }
  return group;
}

// Takes whole groups out of `ranks`, each from ranks of equal `key`, of few
// kinds of `inner`; the first ranks go first.
void FormGroups(std::vector<int>& ranks, const std::vector<int>& key,
                const std::vector<int>& inner, size_t size, Groups& groups) {
  std::vector<int> left;
  for (const std::vector<int>& bucket : Buckets(ranks, key)) {
    Groups parts = Buckets(bucket, inner);
    for (size_t n = bucket.size() / size; n > 0; --n) {
      groups.push_back(TakeGroup(parts, size));
    }
    for (const auto& part : parts) {
      left.insert(left.end(), part.begin(), part.end());
    }
  }
  std::sort(left.begin(), left.end());
  ranks = std::move(left);
}

// How bad an order is; the first that differs decides.
using Cost = std::array<int64_t, 5>;

int Distinct(absl::Span<const int> ranks, const std::vector<int>& key) {
  std::set<int> seen;
  for (int rank : ranks) seen.insert(key[rank]);
  return static_cast<int>(seen.size());
}

Cost CostOf(const std::vector<int>& order, int size, const Keys& keys) {
  Cost cost{};
  for (size_t at = 0; at < order.size(); at += size) {
    const auto group = absl::MakeConstSpan(order).subspan(at, size);
    const int domains = Distinct(group, keys.domain);
    const int hosts = Distinct(group, keys.host);
    if (domains > 1) {
      cost[0] += 1;
      cost[1] += hosts > 1;
      cost[2] += domains;
    }
    cost[3] += hosts;
    cost[4] += Distinct(group, keys.node);
  }
  return cost;
}

bool DomainsSpanHosts(const Keys& keys) {
  return *std::max_element(keys.domain.begin(), keys.domain.end()) <
         *std::max_element(keys.host.begin(), keys.host.end());
}

}  // namespace

std::vector<std::vector<int>> Domains(absl::Span<const RankPlace> places) {
  std::vector<int> ranks(places.size());
  std::iota(ranks.begin(), ranks.end(), 0);
  return Buckets(ranks, Keys(places).domain);
}

std::vector<int> TensorSizesInside(absl::Span<const RankPlace> places) {
  int common = 0;
  for (const auto& domain : Domains(places)) {
    common = std::gcd(common, static_cast<int>(domain.size()));
  }
  std::vector<int> sizes = {1};
  for (int size = 2; size <= common; ++size) {
    if (common % size == 0) sizes.push_back(size);
  }
  return sizes;
}

std::vector<int> PlaceRanks(absl::Span<const RankPlace> places, int tensor) {
  std::vector<int> as_it_is(places.size());
  std::iota(as_it_is.begin(), as_it_is.end(), 0);
  if (tensor <= 1 || places.size() % tensor != 0) return as_it_is;
  const Keys keys(places);

  // From the closest ranks to the farthest. That groups are formed within parts
  // of a domain first takes none from the domain: it keeps the same remainder.
  Groups groups;
  std::vector<int> left = as_it_is;
  FormGroups(left, keys.host_part, keys.node, tensor, groups);
  FormGroups(left, keys.domain, keys.host, tensor, groups);
  FormGroups(left, keys.node, keys.domain, tensor, groups);
  FormGroups(left, keys.host, keys.domain, tensor, groups);
  FormGroups(left, keys.everyone,
             DomainsSpanHosts(keys) ? keys.domain : keys.host, tensor, groups);

  // Neighbours within a group share a domain, and neighbouring groups too; rank
  // 0 is of the first domain and the first host.
  const auto key = [&](int rank) {
    return std::tuple(keys.domain[rank], keys.host[rank], rank);
  };
  const auto closer = [&](int a, int b) { return key(a) < key(b); };
  for (auto& group : groups) std::sort(group.begin(), group.end(), closer);
  std::sort(groups.begin(), groups.end(), [&](const auto& a, const auto& b) {
    return closer(a.front(), b.front());
  });
  std::vector<int> order;
  for (const auto& group : groups) {
    order.insert(order.end(), group.begin(), group.end());
  }
  return CostOf(as_it_is, tensor, keys) <= CostOf(order, tensor, keys)
             ? as_it_is
             : order;
}

int NeighboursInside(const Mesh& mesh, Axis axis,
                     absl::Span<const RankPlace> places) {
  int inside = mesh.size(axis);
  for (int rank = 0; rank < mesh.world_size(); ++rank) {
    const std::vector<int> group = mesh.Group(rank, {axis});
    if (group.front() != rank) continue;  // each once
    for (int i = 1; i < mesh.size(axis); ++i) {
      const RankPlace &before = places[group[i - 1]], &after = places[group[i]];
      const bool apart =
          before.domain != after.domain && before.host != after.host;
      if (apart) inside = std::gcd(inside, i);
    }
  }
  return inside;
}

std::optional<Crossing> FindCrossing(const Mesh& mesh,
                                     absl::Span<const RankPlace> places) {
  const Keys keys(places);
  const int size = mesh.size(Axis::kTensor);
  Groups groups(mesh.world_size() / size, std::vector<int>(size));
  for (int rank = 0; rank < mesh.world_size(); ++rank) {
    const SplitArguments split = mesh.GroupSplit(rank, {Axis::kTensor});
    groups[split.color][split.key] = rank;
  }
  Crossing crossing{.of = static_cast<int>(groups.size())};
  std::pair<int, int> worst{0, 0};  // hosts, domains
  for (const auto& group : groups) {
    const int domains = Distinct(group, keys.domain);
    if (domains == 1) continue;
    const std::pair touched{Distinct(group, keys.host), domains};
    ++crossing.groups;
    if (touched <= worst) continue;
    worst = touched;
    crossing.leaves_host = touched.first > 1;
    crossing.example = group;
    crossing.domains = domains;
  }
  if (crossing.groups == 0) return std::nullopt;
  return crossing;
}

}  // namespace eisbach::parallel
