#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "watch/persistence.h"
#include "watch/rank_step.h"

namespace eisbach::watch {

// A rank that holds the others up.
struct Straggler {
  int rank = 0;
  StepPart part = StepPart::kHost;  // in which it loses most
  int64_t since = 0;                // the first slow step that was seen
  // Medians of the last steps: what it takes longer than is expected of it,
  // over all parts, and in `part` its own time and what is expected.
  double excess = 0;
  double taken = 0;
  double expected = 0;
  // Measured by ranks that do the same work; else, and for kHost as well, by
  // its own earlier steps.
  bool by_peers = false;
  int64_t over = 0;  // the step after which it is none any more; 0: it is one

  friend bool operator==(const Straggler&, const Straggler&) = default;
};

// Finds ranks that are slow for many steps, by what all ranks took in each.
//
// What a rank is expected to take for a part is the median of what the ranks
// that do the same work took in the same step, itself included. A stage that is
// heavier than the others in every step is therefore no straggler. A rank that
// works alone is expected to take what it usually took, longer by the factor
// that all ranks now take longer by; so is every rank for kHost, in which rank
// 0 does more than the others (of the two what is longer).
//
// A step is slow when the rank took at least kSlowShare of the step, and
// kLeastSeconds, longer than expected. A rank is named while most steps are
// slow (persistence.h). Noise that strikes ranks alike makes less than half of
// a rank's steps slow.
class StragglerFinder {
 public:
  static constexpr double kSlowShare = 0.15;
  // A few turns of the system's scheduler: on a machine with more to do than
  // cores a rank may lose them at the same place in every step.
  static constexpr double kLeastSeconds = 0.02;

  // `work`: ranks of the same number do the same work. `steps` is at least 1.
  StragglerFinder(std::vector<int> work, int steps);

  // All ranks, by rank, in the step after the one before. Returns who has
  // become a straggler, and who is none any more (`over`).
  std::vector<Straggler> Add(int64_t step, const std::vector<RankStep>& ranks);

  // Who is one, the worst first.
  std::vector<Straggler> now() const;

 private:
  // One step of a rank as it is judged.
  struct Judged {
    int64_t step;
    bool slow = false;
    StepParts taken{}, expected{};
    double excess = 0;
  };
  struct History {
    History(int work, int steps) : work(work), slow(steps) {}

    int work;
    std::deque<StepParts> quiet;  // steps that were not slow
    int more = 0;                 // of these, since `usual`
    StepParts usual{};            // their medians, and that of their sums;
    double usual_sum = 0;         // 0: not known yet
    std::deque<Judged> last;      // at most `steps`
    Persistence slow;
    Straggler told;
  };

  bool alone(const History& history) const {
    return members_[history.work].size() == 1;
  }
  std::vector<Judged> Judge(int64_t step,
                            const std::vector<RankStep>& ranks) const;
  // How much longer than usual all ranks took; at least 1.
  double CommonFactor(const std::vector<RankStep>& ranks) const;
  void Keep(History& history, const Judged& judged) const;
  Straggler Describe(int rank) const;

  const int steps_;
  std::vector<std::vector<int>> members_;  // ranks, by the work that they do
  std::vector<History> histories_;         // by rank
};

// "rank 3 (node7) is slow since step 120: backward takes 0.42 s, where its
// peers take 0.2 s; it holds each step up by 0.25 s". `hosts` by rank.
std::string ToText(const Straggler& straggler,
                   const std::vector<std::string>& hosts);

}  // namespace eisbach::watch
