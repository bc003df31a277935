#include "train/link_rounds.h"

#include <algorithm>
#include <set>
#include <utility>

#include "train/network_use.h"

namespace eisbach::train {
namespace {

using Groups = std::vector<std::vector<int>>;

// How many ranks of a group follow one another on each host; 1 where hosts have
// different numbers of them, or there is one.
size_t RanksOfAHost(const std::vector<int>& group,
                    absl::Span<const std::string> hosts) {
  const size_t n = group.size();
  size_t run = 1;
  while (run < n && hosts[group[run]] == hosts[group[0]]) ++run;
  if (run == n || n % run != 0) return 1;
  for (size_t i = 0; i < n; ++i) {
    const bool begins = i % run == 0;
    const bool same = i > 0 && hosts[group[i]] == hosts[group[i - 1]];
    if (begins == same) return 1;
  }
  return run;
}

// Every rank's neighbours at the distance that `stride` gives for its group; 0:
// none. Two ranks are a ring of one link.
template <typename Stride>
void AddRing(const Groups& groups, parallel::AxisSet axes, int world_size,
             Stride&& stride, std::set<std::pair<int, int>>& seen,
             std::vector<LinkRound>& rounds) {
  constexpr int kColors = 3;  // an odd ring needs as many
  const int ring = rounds.empty() ? 0 : rounds.back().ring + 1;
  std::vector<LinkRound> colored(
      kColors, {axes, ring, std::vector<int>(world_size, -1)});
  for (const std::vector<int>& group : groups) {
    const size_t n = group.size();
    const size_t step = stride(group);
    if (step == 0) continue;
    const size_t nodes = n / step;
    for (size_t i = 0; i < n; ++i) {
      const size_t node = i / step;
      if (node + 1 == nodes && nodes < 3) continue;
      const bool closes_odd = node + 1 == nodes && nodes % 2 == 1;
      const int a = group[i], b = group[(i + step) % n];
      if (!seen.insert(std::minmax(a, b)).second) continue;
      LinkRound& round = colored[closes_odd ? 2 : node % 2];
      round.partner[a] = b;
      round.partner[b] = a;
    }
  }
  for (LinkRound& round : colored) {
    const bool rests = std::all_of(round.partner.begin(), round.partner.end(),
                                   [](int partner) { return partner < 0; });
    if (!rests) rounds.push_back(std::move(round));
  }
}

}  // namespace

std::vector<LinkRound> LinkRounds(const parallel::Mesh& mesh,
                                  absl::Span<const std::string> hosts) {
  std::vector<LinkRound> rounds;
  std::set<std::pair<int, int>> seen;
  const int n = mesh.world_size();
  for (const parallel::AxisSet axes : AxesInUse(mesh)) {
    const Groups groups = GroupsAlong(mesh, axes);
    AddRing(
        groups, axes, n, [](const auto&) -> size_t { return 1; }, seen, rounds);
    AddRing(
        groups, axes, n,
        [&](const std::vector<int>& group) -> size_t {
          const size_t ranks = RanksOfAHost(group, hosts);
          return ranks == 1 ? 0 : ranks;
        },
        seen, rounds);
  }
  return rounds;
}

}  // namespace eisbach::train
