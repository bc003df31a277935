#include "plan/seen.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_format.h"

namespace eisbach::plan {

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
  int& data = data_.try_emplace(KindOf(layout), layout.data).first->second;
  data = std::min(data, layout.data);
}

bool Settled::Covers(const Layout& layout) const {
  const auto it = data_.find(KindOf(layout));
  return it != data_.end() && it->second < layout.data;
}

Settled::Kind Settled::KindOf(const Layout& layout) {
  return {layout.tensor,   layout.pipeline, layout.context,    layout.expert,
          layout.schedule, layout.chunks,   layout.micro_batch};
}

int LookFirst(int data) {
  // Of the numbers 1, 2, 3, ... of powers of two: 4 before 2 and 6, these
  // before the odd ones.
  return -std::countr_zero(
      static_cast<unsigned>(std::bit_width(static_cast<unsigned>(data))));
}

}  // namespace eisbach::plan
