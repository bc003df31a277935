#pragma once

#include <algorithm>
#include <deque>

namespace eisbach::watch {

// Whether something that holds in single steps does so for many: in at least
// four of five of the last `steps`, and from then on until it holds in no more
// than one of five of them.
class Persistence {
 public:
  enum class Change { kNone, kBegins, kEnds };

  explicit Persistence(int steps) : steps_(steps) {}

  // The next step.
  Change Add(bool holds) {
    last_.push_back(holds);
    if (static_cast<int>(last_.size()) > steps_) last_.pop_front();
    if (static_cast<int>(last_.size()) < steps_) return Change::kNone;
    const auto count = std::count(last_.begin(), last_.end(), true);
    if (!persists_ && 5 * count >= 4 * steps_) {
      persists_ = true;
      return Change::kBegins;
    }
    if (persists_ && 5 * count <= steps_) {
      persists_ = false;
      return Change::kEnds;
    }
    return Change::kNone;
  }
  bool persists() const { return persists_; }

 private:
  const int steps_;
  std::deque<bool> last_;
  bool persists_ = false;
};

}  // namespace eisbach::watch
