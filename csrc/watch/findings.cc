#include "watch/findings.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>

namespace eisbach::watch {
namespace {

using comm::CallKind;
using comm::Phase;

// That one rank waits for another, and in what.
struct Edge {
  int from;
  int to;
  std::string group;
  CallView call;
};

Cause CauseOf(Standing standing) {
  switch (standing) {
    case Standing::kRuns:
      return Cause::kElsewhere;
    case Standing::kStopped:
      return Cause::kStopped;
    case Standing::kFrozen:
      return Cause::kFrozen;
    case Standing::kGone:
      return Cause::kGone;
    case Standing::kNoAnswer:
      return Cause::kNoAnswer;
  }
  return Cause::kElsewhere;
}

// With who waits for it longest.
Culprit MakeCulprit(const RankView& view, const std::vector<Edge>& edges) {
  Culprit culprit{.rank = view.rank, .cause = CauseOf(view.standing)};
  std::vector<int> waiting;
  for (const Edge& edge : edges) {
    if (edge.to != view.rank) continue;
    waiting.push_back(edge.from);
    if (culprit.waiting_rank >= 0 &&
        culprit.call.seconds >= edge.call.seconds) {
      continue;
    }
    culprit.waiting_rank = edge.from;
    culprit.group = edge.group;
    culprit.call = edge.call;
  }
  std::sort(waiting.begin(), waiting.end());
  culprit.waiting_ranks = static_cast<int>(
      std::unique(waiting.begin(), waiting.end()) - waiting.begin());
  return culprit;
}

class Graph {
 public:
  explicit Graph(const std::vector<RankView>& ranks) : ranks_(ranks) {
    for (const RankView& view : ranks) {
      for (const GroupView& group : view.groups) {
        members_[group.id].push_back({view.rank, &group});
      }
    }
    for (const RankView& view : ranks) {
      if (view.standing != Standing::kRuns) continue;
      for (const GroupView& group : view.groups) AddCall(view, group);
      if (view.phase == Phase::kEnd) AddEnd(view);
    }
  }

  const std::vector<Edge>& edges() const { return edges_; }
  // Calls that all members have come to, and that are not over.
  const std::vector<Edge>& stuck() const { return stuck_; }

  bool Waits(int rank) const {
    return std::any_of(edges_.begin(), edges_.end(),
                       [&](const Edge& e) { return e.from == rank; });
  }

  // The ranks whose call of the same number is not the same.
  std::vector<Culprit> Mismatches() const;
  // The ranks of which each waits for another, in another call.
  std::vector<Culprit> Circle() const;

 private:
  // Ranks in a call that all have come to, and those that wait for such ranks.
  std::set<int> BehindStuck() const;

  struct Member {
    int rank;
    const GroupView* group;
  };

  void AddCall(const RankView& view, const GroupView& group) {
    const CallView* call = group.Open();
    // One that was not driven waits for work of its own rank.
    if (call == nullptr || call->seconds < 0) return;
    const size_t before = edges_.size();
    for (const Member& peer : members_.at(group.id)) {
      if (peer.rank != view.rank && !HasCome(group, *call, *peer.group)) {
        edges_.push_back({view.rank, peer.rank, group.name, *call});
      }
    }
    AddSilent(view, group, *call);
    if (edges_.size() > before) return;
    for (const Member& peer : members_.at(group.id)) {
      if (peer.rank == view.rank || !TakesPart(*call, peer.group->rank)) {
        continue;
      }
      // It has come, and cannot do its part, or has not begun to.
      const CallView* theirs =
          call->collective == 0 ? nullptr
                                : peer.group->FindCollective(call->collective);
      const bool begun = theirs == nullptr || theirs->seconds >= 0;
      if (ranks_[peer.rank].standing != Standing::kRuns || !begun) {
        edges_.push_back({view.rank, peer.rank, group.name, *call});
      }
    }
    if (edges_.size() == before) {
      stuck_.push_back({view.rank, view.rank, group.name, *call});
    }
  }

  // Ranks of which nothing is known may be members: those that no known rank
  // is.
  void AddSilent(const RankView& view, const GroupView& group,
                 const CallView& call) {
    if (static_cast<int>(members_.at(group.id).size()) == group.size) return;
    for (const RankView& other : ranks_) {
      if (other.standing == Standing::kNoAnswer && other.groups.empty()) {
        edges_.push_back({view.rank, other.rank, group.name, call});
      }
    }
  }

  void AddEnd(const RankView& view) {
    for (const RankView& other : ranks_) {
      if (other.phase == Phase::kEnd && other.standing == Standing::kRuns) {
        continue;
      }
      edges_.push_back({view.rank, other.rank, "world", {}});
    }
  }

  static bool TakesPart(const CallView& call, int member) {
    return call.kind != CallKind::kExchange ||
           std::any_of(call.peers.begin(), call.peers.end(),
                       [&](const PeerView& p) { return p.peer == member; });
  }

  // Whether a peer has made its side of a call.
  static bool HasCome(const GroupView& mine, const CallView& call,
                      const GroupView& theirs) {
    if (call.kind != CallKind::kExchange) {
      return theirs.collectives >= call.collective;
    }
    for (const PeerView& part : call.peers) {
      if (part.peer != theirs.rank) continue;
      for (const PeerView& count : theirs.peers) {
        if (count.peer != mine.rank) continue;
        return static_cast<int32_t>(count.receives - part.sends) >= 0 &&
               static_cast<int32_t>(count.sends - part.receives) >= 0;
      }
      // A list that is full may have left this rank out.
      return theirs.peers.size() >= comm::GroupEntry::kPeers;
    }
    return true;  // it has no side
  }

  const std::vector<RankView>& ranks_;
  std::map<uint64_t, std::vector<Member>> members_;
  std::vector<Edge> edges_;
  std::vector<Edge> stuck_;
};

bool SameCall(const CallView& a, const CallView& b) {
  if (a.kind != b.kind || a.dtype != b.dtype) return false;
  return a.kind == CallKind::kAllToAll || a.elements == b.elements;
}

std::vector<Culprit> Graph::Mismatches() const {
  std::vector<Culprit> found;
  for (const auto& [id, members] : members_) {
    int64_t first = std::numeric_limits<int64_t>::max();
    for (const Member& one : members) {
      for (const CallView& call : one.group->last) {
        if (call.collective != 0) first = std::min(first, call.collective);
      }
    }
    int64_t last = 0;
    for (const Member& one : members) {
      last = std::max(last, one.group->collectives);
    }
    for (int64_t n = first; n <= last && found.empty(); ++n) {
      // The call of most; of two, that of the lowest rank.
      std::vector<std::pair<const Member*, const CallView*>> calls;
      for (const Member& one : members) {
        if (const CallView* call = one.group->FindCollective(n)) {
          calls.emplace_back(&one, call);
        }
      }
      const auto votes = [&](const CallView* call) {
        return std::count_if(calls.begin(), calls.end(), [&](const auto& c) {
          return SameCall(*c.second, *call);
        });
      };
      const auto most = std::max_element(
          calls.begin(), calls.end(), [&](const auto& a, const auto& b) {
            return votes(a.second) < votes(b.second);
          });
      for (const auto& [member, call] : calls) {
        if (SameCall(*call, *most->second)) continue;
        found.push_back({.rank = member->rank,
                         .cause = Cause::kMismatch,
                         .waiting_rank = most->first->rank,
                         .group = member->group->name,
                         .call = *most->second,
                         .waiting_ranks = static_cast<int>(votes(most->second)),
                         .instead = *call,
                         .instead_group = member->group->name});
      }
    }
  }
  return found;
}

std::set<int> Graph::BehindStuck() const {
  std::set<int> behind;
  for (const Edge& edge : stuck_) behind.insert(edge.from);
  for (size_t before = 0; before != behind.size();) {
    before = behind.size();
    for (const Edge& edge : edges_) {
      if (behind.count(edge.to) > 0) behind.insert(edge.from);
    }
  }
  return behind;
}

std::vector<Culprit> Graph::Circle() const {
  const std::set<int> behind = BehindStuck();
  std::vector<Culprit> found;
  for (const RankView& view : ranks_) {
    if (!Waits(view.rank) || behind.count(view.rank) > 0) continue;
    Culprit culprit = MakeCulprit(view, edges_);
    if (culprit.waiting_ranks == 0) continue;
    culprit.cause = Cause::kMismatch;
    for (const Edge& edge : edges_) {
      if (edge.from != view.rank) continue;
      culprit.instead = edge.call;
      culprit.instead_group = edge.group;
    }
    found.push_back(std::move(culprit));
  }
  return found;
}

}  // namespace

absl::string_view Name(Cause cause) {
  switch (cause) {
    case Cause::kStopped:
      return "stopped";
    case Cause::kFrozen:
      return "frozen";
    case Cause::kGone:
      return "gone";
    case Cause::kNoAnswer:
      return "no answer";
    case Cause::kMismatch:
      return "another call";
    case Cause::kElsewhere:
      return "elsewhere";
    case Cause::kTransport:
      return "transport";
  }
  return "unknown";
}

double Patience::Of(Phase phase, int64_t step_done) const {
  const double longer = std::max(10 * hang_seconds, 600.0);
  switch (phase) {
    case Phase::kPrepare:
      return std::numeric_limits<double>::infinity();
    case Phase::kStep:
      return step_done == 0 ? longer : hang_seconds;
    case Phase::kEnd:
    case Phase::kStart:
    case Phase::kLoad:
    case Phase::kValidation:
    case Phase::kSave:
    case Phase::kExport:
      return longer;
  }
  return hang_seconds;
}

Findings Find(const std::vector<RankView>& ranks, const Patience& patience) {
  const Graph graph(ranks);
  Findings found;
  const auto silent_enough = [&](const RankView& view) {
    return view.silent_seconds >= patience.Of(view.phase, view.step_done);
  };
  bool any_works = false;
  for (const RankView& view : ranks) {
    const bool waited_for =
        std::any_of(graph.edges().begin(), graph.edges().end(),
                    [&](const Edge& e) { return e.to == view.rank; });
    if (view.standing != Standing::kRuns) {
      if (waited_for) {
        found.culprits.push_back(MakeCulprit(view, graph.edges()));
      }
      continue;
    }
    if (graph.Waits(view.rank)) continue;
    const bool in_stuck_call =
        std::any_of(graph.stuck().begin(), graph.stuck().end(),
                    [&](const Edge& e) { return e.from == view.rank; });
    if (in_stuck_call) continue;
    if (!silent_enough(view)) {
      any_works = true;
    } else {
      found.culprits.push_back(MakeCulprit(view, graph.edges()));
    }
  }
  const bool cannot_go_on = std::any_of(
      found.culprits.begin(), found.culprits.end(),
      [](const Culprit& c) { return c.cause != Cause::kElsewhere; });
  found.hangs = cannot_go_on || (!found.culprits.empty() && !any_works);
  if (!found.hangs && !any_works) {
    // Everybody waits: for one another, or for bytes that do not come.
    found.culprits = graph.Mismatches();
    if (found.culprits.empty()) found.culprits = graph.Circle();
    const bool all_silent =
        std::all_of(ranks.begin(), ranks.end(), silent_enough);
    found.circle =
        !all_silent && patience.circle_seconds > 0 && !found.culprits.empty() &&
        std::all_of(ranks.begin(), ranks.end(), [&](const RankView& view) {
          return view.silent_seconds >= patience.circle_seconds;
        });
    if (found.culprits.empty()) {
      for (const Edge& edge : graph.stuck()) {
        found.culprits.push_back({.rank = edge.from,
                                  .cause = Cause::kTransport,
                                  .waiting_rank = edge.from,
                                  .group = edge.group,
                                  .call = edge.call});
      }
    }
    found.hangs = (all_silent || found.circle) && !ranks.empty();
  } else if (found.hangs && !cannot_go_on) {
    // Who waits elsewhere in another call of the same number is worse.
    std::vector<Culprit> mismatches = graph.Mismatches();
    found.culprits.insert(found.culprits.begin(), mismatches.begin(),
                          mismatches.end());
  }
  std::stable_sort(found.culprits.begin(), found.culprits.end(),
                   [](const Culprit& a, const Culprit& b) {
                     return std::tuple(a.cause, -a.waiting_ranks) <
                            std::tuple(b.cause, -b.waiting_ranks);
                   });
  return found;
}

}  // namespace eisbach::watch
