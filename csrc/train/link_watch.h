#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "parallel/context.h"
#include "train/slow_links.h"
#include "watch/slow_network.h"

namespace eisbach::train {

// A link that holds steps up, between ranks a < b.
struct SlowLink {
  int a = 0, b = 0;
  double excess = 0;  // seconds of each step

  friend bool operator==(const SlowLink&, const SlowLink&) = default;
};

// Tells which link between ranks is slow. It measures links twice (link_check):
// when it is first asked to, and when steps are held up by the network
// (watch/slow_network.h), which rank 0 sees; in between it costs nothing. What
// finds a slow link is done once more, and the better figures count: other
// programs on the cores do to a measurement what a bad cable does.
class LinkWatch {
 public:
  // `steps`: for which steps are held up. `hosts` by rank.
  LinkWatch(int steps, std::vector<std::string> hosts,
            const parallel::ParallelContext& context);

  // On rank 0: what all ranks took in a step in which none was late.
  void Add(int64_t step, const std::vector<watch::RankStep>& ranks);
  // On rank 0: whether links are to be measured, as steps are held up and it is
  // not known by which, or to make sure. All ranks are to be told, and to call
  // Measure.
  bool wants_measurement() const {
    return begun_.has_value() || !doubtful_.empty();
  }
  // The first time what links do while all is well. Collective, between steps.
  absl::Status Measure();

  // On rank 0. What was measured, all links in the order of MeasureLinks.
  void Take(std::vector<LinkReading> readings);
  std::optional<SlowLink> slow_link() const;
  std::vector<std::string> TakeNews();

 private:
  bool Doubts(const std::vector<LinkReading>& readings) const;

  const parallel::ParallelContext& context_;
  const std::vector<std::string> hosts_;
  const std::vector<LinkRound> rounds_;
  std::vector<LinkReading> before_;    // empty: not measured
  std::vector<LinkReading> doubtful_;  // that are to be measured once more
  watch::NetworkDelayFinder finder_;
  // That is not measured.
  std::optional<watch::NetworkDelay> begun_;
  // By the last measurement, of the delay that is now; empty: none.
  std::vector<LinkChange> changes_;
  std::vector<std::string> news_;
};

}  // namespace eisbach::train
