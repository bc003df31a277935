#include "plan/seen.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace eisbach::plan {

Copy CopyOf(const Layout& layout) {
  return {layout.tensor,   layout.pipeline, layout.context,    layout.expert,
          layout.schedule, layout.chunks,   layout.micro_batch};
}

void TooLate::Add(const Layout& layout, const StepUse& use) {
  if (use.seconds >= use_.seconds) return;
  use_ = use;
  devices_ = layout.devices();
}

absl::Status TooLate::Refusal(const Ranking& ranking,
                              const Hardware& hardware) const {
  const RunCost cost = CostOn(devices_, use_, ranking, hardware);
  if (!cost.ends()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("deadline=%gh: the run never ends: %s; nearest that "
                        "works: no deadline",
                        ranking.most_hours, WhyItNeverEnds(cost, ranking.run)));
  }
  // In hundredths, upwards: what is offered has to work.
  return absl::InvalidArgumentError(absl::StrFormat(
      "deadline=%gh: the quickest layout that was found takes %s, on %d "
      "devices; nearest that works: deadline=%.2fh",
      ranking.most_hours, SpellTime(cost.hours * 3600), devices_,
      std::ceil(cost.hours * 100) / 100));
}

void TooLarge::Add(const Layout& layout) {
  int& data = data_[KindOf(layout)];
  data = std::max(data, layout.data);
}

bool TooLarge::Covers(const Layout& layout) const {
  const auto it = data_.find(KindOf(layout));
  return it != data_.end() && it->second >= layout.data;
}

TooLarge::Kind TooLarge::KindOf(const Layout& layout) {
  return {layout.tensor,          layout.pipeline, layout.context,
          layout.expert,          layout.schedule, layout.chunks,
          layout.micro_batch,     layout.zero,     layout.recompute,
          layout.recompute_layers};
}

void Settled::Add(const Layout& layout) {
  int& data = data_.try_emplace(CopyOf(layout), layout.data).first->second;
  data = std::min(data, layout.data);
}

bool Settled::Covers(const Layout& layout) const {
  const auto it = data_.find(CopyOf(layout));
  return it != data_.end() && it->second < layout.data;
}

void TooSlow::Add(const Layout& layout, double least_score) {
  ways_[CopyOf(layout)].push_back({layout.data, layout.zero, least_score});
}

bool TooSlow::Covers(const Layout& layout, double least_score) const {
  const auto it = ways_.find(CopyOf(layout));
  return it != ways_.end() &&
         std::any_of(
             it->second.begin(), it->second.end(), [&](const Slow& slow) {
               return slow.data <= layout.data && slow.zero <= layout.zero &&
                      slow.least_score <= least_score;
             });
}

}  // namespace eisbach::plan
