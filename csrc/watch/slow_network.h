#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "watch/persistence.h"
#include "watch/rank_step.h"

namespace eisbach::watch {

// All ranks wait longer than they used to.
struct NetworkDelay {
  int64_t since = 0;  // the first such step that was seen
  double excess = 0;  // seconds a step, the median of the last steps
  StepPart part = StepPart::kHost;  // in which the waiting has grown most
  int64_t over = 0;  // the step after which it is so no more; 0: it is so

  friend bool operator==(const NetworkDelay&, const NetworkDelay&) = default;
};

// Finds steps that ranks wait in without one that is waited for, by what all
// ranks took in each.
//
// Whoever is late waits least: what the rank with the least waiting waits no
// rank explains, so it is the transfers themselves. A step is held up by the
// network when that is at least StragglerFinder::kSlowShare of the step, and
// kLeastSeconds, longer than it usually is, longer by the factor that ranks now
// take longer by for themselves (a heavier step has more to send). Usual are
// the last steps that were not held up. It is told while most steps are held up
// (persistence.h).
class NetworkDelayFinder {
 public:
  // `steps` is at least 1.
  explicit NetworkDelayFinder(int steps) : steps_(steps), slow_(steps) {}

  // All ranks, by rank. Returns a delay that begins, or that is over. Steps in
  // which a rank is a straggler are left out.
  std::optional<NetworkDelay> Add(int64_t step,
                                  const std::vector<RankStep>& ranks);

  std::optional<NetworkDelay> now() const {
    return slow_.persists() ? std::optional(told_) : std::nullopt;
  }

 private:
  struct Load {
    double held = 0;    // the least waiting of a rank
    double busy = 0;    // the median of ranks
    StepParts parts{};  // of waiting; medians of ranks
  };
  struct Judged {
    int64_t step = 0;
    double excess = 0;
    StepParts longer{};  // waiting, by part
    bool slow = false;
  };

  Judged Judge(int64_t step, const Load& load, double whole) const;
  void Keep(const Load& load, const Judged& judged);
  void Describe();

  const int steps_;
  std::deque<Load> quiet_;     // steps that were not held up
  int more_ = 0;               // of these, since `usual_`
  std::optional<Load> usual_;  // their medians
  std::deque<Judged> last_;    // at most `steps`
  Persistence slow_;
  NetworkDelay told_;
};

}  // namespace eisbach::watch
