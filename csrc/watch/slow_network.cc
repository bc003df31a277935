#include "watch/slow_network.h"

#include <algorithm>
#include <limits>

#include "watch/stragglers.h"

namespace eisbach::watch {

std::optional<NetworkDelay> NetworkDelayFinder::Add(
    int64_t step, const std::vector<RankStep>& ranks) {
  Load load{.held = std::numeric_limits<double>::max()};
  for (const RankStep& rank : ranks) {
    load.held = std::min(load.held, Sum(rank.waiting));
  }
  load.busy = MedianOf(ranks, [](const RankStep& r) { return Sum(r.busy); });
  load.parts = Medians(ranks, [](const RankStep& r) { return r.waiting; });
  const Judged judged = Judge(step, load, WholeStep(ranks));
  Keep(load, judged);
  const Persistence::Change change = slow_.Add(judged.slow);
  if (change == Persistence::Change::kEnds) {
    told_.over = step;
    return told_;
  }
  if (!slow_.persists()) return std::nullopt;
  const bool begins = change == Persistence::Change::kBegins;
  if (begins) told_ = {};
  Describe();
  return begins ? std::optional(told_) : std::nullopt;
}

NetworkDelayFinder::Judged NetworkDelayFinder::Judge(int64_t step,
                                                     const Load& load,
                                                     double whole) const {
  Judged judged{.step = step};
  if (!usual_.has_value()) return judged;
  const double factor =
      usual_->busy > 0 ? std::max(1.0, load.busy / usual_->busy) : 1.0;
  judged.excess = load.held - factor * usual_->held;
  for (int part = 0; part < kNumStepParts; ++part) {
    judged.longer[part] = load.parts[part] - factor * usual_->parts[part];
  }
  judged.slow = judged.excess >= std::max(StragglerFinder::kLeastSeconds,
                                          StragglerFinder::kSlowShare * whole);
  return judged;
}

void NetworkDelayFinder::Keep(const Load& load, const Judged& judged) {
  last_.push_back(judged);
  if (static_cast<int>(last_.size()) > steps_) last_.pop_front();
  if (judged.slow) return;
  // Slow changes of what is usual are followed.
  quiet_.push_back(load);
  if (static_cast<int>(quiet_.size()) > 4 * steps_) quiet_.pop_front();
  if (++more_ < steps_) return;
  more_ = 0;
  usual_ =
      Load{.held = MedianOf(quiet_, [](const Load& one) { return one.held; }),
           .busy = MedianOf(quiet_, [](const Load& one) { return one.busy; }),
           .parts = Medians(quiet_, [](const Load& one) { return one.parts; })};
}

void NetworkDelayFinder::Describe() {
  std::vector<Judged> slow;
  for (const Judged& one : last_) {
    if (one.slow) slow.push_back(one);
  }
  if (told_.since == 0) told_.since = slow.front().step;
  told_.excess = MedianOf(slow, [](const Judged& one) { return one.excess; });
  const StepParts longer =
      Medians(slow, [](const Judged& one) { return one.longer; });
  const auto most = std::max_element(longer.begin(), longer.end());
  told_.part = static_cast<StepPart>(most - longer.begin());
}

}  // namespace eisbach::watch
