#include "watch/stragglers.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace eisbach::watch {
namespace {

constexpr int kHostPart = static_cast<int>(StepPart::kHost);

}  // namespace

StragglerFinder::StragglerFinder(std::vector<int> work, int steps)
    : steps_(steps) {
  std::map<int, int> numbers;
  for (size_t rank = 0; rank < work.size(); ++rank) {
    const auto [it, added] =
        numbers.try_emplace(work[rank], static_cast<int>(members_.size()));
    if (added) members_.emplace_back();
    members_[it->second].push_back(static_cast<int>(rank));
    histories_.emplace_back(it->second, steps);
  }
}

// The medians of parts do not add up to the median of their sums, which is what
// a whole step is measured by.
std::vector<StragglerFinder::Judged> StragglerFinder::Judge(
    int64_t step, const std::vector<RankStep>& ranks) const {
  const double whole = WholeStep(ranks);
  const auto shared = [](const StepParts& parts) {
    return Sum(parts) - parts[kHostPart];
  };
  std::vector<StepParts> parts_of_work;
  std::vector<double> shared_of_work;
  for (const std::vector<int>& members : members_) {
    parts_of_work.push_back(
        Medians(members, [&](int rank) { return ranks[rank].busy; }));
    shared_of_work.push_back(
        MedianOf(members, [&](int rank) { return shared(ranks[rank].busy); }));
  }
  const double factor = CommonFactor(ranks);
  std::vector<Judged> judged;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const History& history = histories_[rank];
    const StepParts& taken = ranks[rank].busy;
    Judged one{.step = step, .taken = taken};
    one.expected = parts_of_work[history.work];
    const bool known = history.usual_sum > 0;
    for (int part = 0; part < kNumStepParts; ++part) {
      const double own = known ? factor * history.usual[part] : taken[part];
      if (alone(history)) {
        one.expected[part] = own;
      } else if (part == kHostPart) {
        one.expected[part] = std::max(one.expected[part], own);
      }
    }
    if (!alone(history)) {
      one.excess = shared(taken) - shared_of_work[history.work] +
                   taken[kHostPart] - one.expected[kHostPart];
    } else if (known) {
      one.excess = Sum(taken) - factor * history.usual_sum;
    }
    one.slow = one.excess >= std::max(kLeastSeconds, kSlowShare * whole);
    judged.push_back(one);
  }
  return judged;
}

double StragglerFinder::CommonFactor(const std::vector<RankStep>& ranks) const {
  std::vector<double> factors;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const double usual = histories_[rank].usual_sum;
    if (usual > 0) factors.push_back(Sum(ranks[rank].busy) / usual);
  }
  return std::max(1.0, LowerMedian(std::move(factors)));
}

void StragglerFinder::Keep(History& history, const Judged& judged) const {
  history.last.push_back(judged);
  if (static_cast<int>(history.last.size()) > steps_) {
    history.last.pop_front();
  }
  if (judged.slow) return;
  // Slow changes of what is usual are followed.
  history.quiet.push_back(judged.taken);
  if (static_cast<int>(history.quiet.size()) > 4 * steps_) {
    history.quiet.pop_front();
  }
  if (++history.more < steps_) return;
  history.more = 0;
  history.usual =
      Medians(history.quiet, [](const StepParts& parts) { return parts; });
  history.usual_sum = MedianOf(history.quiet, Sum);
}

std::vector<Straggler> StragglerFinder::Add(
    int64_t step, const std::vector<RankStep>& ranks) {
  const std::vector<Judged> judged = Judge(step, ranks);
  std::vector<Straggler> news;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    History& history = histories_[rank];
    Keep(history, judged[rank]);
    const Persistence::Change change = history.slow.Add(judged[rank].slow);
    if (change == Persistence::Change::kEnds) {
      history.told.over = step;
      news.push_back(history.told);
    } else if (history.slow.persists()) {
      const int64_t since = history.told.since;
      history.told = Describe(static_cast<int>(rank));
      if (change == Persistence::Change::kBegins) {
        news.push_back(history.told);
      } else {
        history.told.since = since;
      }
    }
  }
  return news;
}

Straggler StragglerFinder::Describe(int rank) const {
  const History& history = histories_[rank];
  std::vector<Judged> slow;
  for (const Judged& one : history.last) {
    if (one.slow) slow.push_back(one);
  }
  Straggler straggler{
      .rank = rank, .since = slow.front().step, .by_peers = !alone(history)};
  straggler.excess =
      MedianOf(slow, [](const Judged& one) { return one.excess; });
  double most = 0;
  for (int part = 0; part < kNumStepParts; ++part) {
    const double longer = MedianOf(slow, [&](const Judged& one) {
      return one.taken[part] - one.expected[part];
    });
    if (part > 0 && longer <= most) continue;
    most = longer;
    straggler.part = static_cast<StepPart>(part);
    straggler.taken =
        MedianOf(slow, [&](const Judged& one) { return one.taken[part]; });
    straggler.expected =
        MedianOf(slow, [&](const Judged& one) { return one.expected[part]; });
  }
  return straggler;
}

std::vector<Straggler> StragglerFinder::now() const {
  std::vector<Straggler> all;
  for (const History& history : histories_) {
    if (history.slow.persists()) all.push_back(history.told);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Straggler& a, const Straggler& b) {
                     return a.excess > b.excess;
                   });
  return all;
}

std::string ToText(const Straggler& straggler,
                   const std::vector<std::string>& hosts) {
  const std::string who = RankAndHost(straggler.rank, hosts);
  if (straggler.over != 0) {
    return absl::StrCat(who, " is no longer slow since step ", straggler.over);
  }
  // Its own earlier steps count for the host's work also where it has peers.
  const bool by_peers = straggler.by_peers && straggler.part != StepPart::kHost;
  return absl::StrFormat(
      "%s is slow since step %d: %s takes %.3g s, where %s %.3g s%s; it holds "
      "each step up by %.3g s",
      who, straggler.since, Spelled(straggler.part), straggler.taken,
      by_peers ? "its peers take" : "it took", straggler.expected,
      by_peers ? "" : " before", straggler.excess);
}

}  // namespace eisbach::watch
