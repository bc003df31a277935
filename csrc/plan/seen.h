#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "plan/hardware.h"
#include "plan/ranking.h"
#include "plan/search.h"

namespace eisbach::plan {

// How each copy of the model runs: all of a layout but how many there are, and
// what they do to fit memory.
using Copy = std::tuple<int, int, int, int, std::string, int, int64_t>;
Copy CopyOf(const Layout& layout);

// Layouts that fit and end too late (Ranking::most_hours): of all, the
// quickest.
class TooLate {
 public:
  void Add(const Layout& layout, const StepUse& use);
  // Seconds of its step; infinite where there is none.
  double seconds() const { return use_.seconds; }
  // That no layout is in time, and which is nearest.
  absl::Status Refusal(const Ranking& ranking, const Hardware& hardware) const;

 private:
  StepUse use_{std::numeric_limits<double>::infinity(), 0};
  int64_t devices_ = 0;
};

// Layouts that took too much memory: with fewer data ranks, between which their
// state is divided, they take no less.
class TooLarge {
 public:
  void Add(const Layout& layout);
  // Whether `layout` is one of them with as few data ranks, or fewer.
  bool Covers(const Layout& layout) const;

 private:
  using Kind = std::tuple<int, int, int, int, std::string, int, int64_t, int,
                          nn::Recompute, int64_t>;
  static Kind KindOf(const Layout& layout);

  std::map<Kind, int> data_;
};

// Where fewer devices may be better: layouts that fit as they are. With more
// data ranks they would only exchange more and wait longer for one another.
class Settled {
 public:
  void Add(const Layout& layout);
  // Whether `layout` is one of them with more data ranks.
  bool Covers(const Layout& layout) const;

 private:
  std::map<Copy, int> data_;
};

// Ways to run a layout that took too long when they were recorded, and what
// they take at the least (LayoutBounds). Of others of the layout that is as far
// from what they take, or farther where ranks exchange more: more data ranks
// for the same work, state that is divided further.
class TooSlow {
 public:
  void Add(const Layout& layout, double least_score);
  // Whether `layout` exchanges no less than one of them, and takes no less at
  // the least.
  bool Covers(const Layout& layout, double least_score) const;

 private:
  struct Slow {
    int data, zero;
    double least_score;
  };
  std::map<Copy, std::vector<Slow>> ways_;
};

}  // namespace eisbach::plan
