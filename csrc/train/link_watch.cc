#include "train/link_watch.h"

#include <utility>

#include "core/status_macros.h"

namespace eisbach::train {

LinkWatch::LinkWatch(int steps, std::vector<std::string> hosts,
                     const parallel::ParallelContext& context)
    : context_(context),
      hosts_(std::move(hosts)),
      rounds_(LinkRounds(context.mesh(), hosts_)),
      finder_(steps) {}

void LinkWatch::Add(int64_t step, const std::vector<watch::RankStep>& ranks) {
  const std::optional<watch::NetworkDelay> news = finder_.Add(step, ranks);
  if (!news.has_value()) return;
  if (news->over == 0) {
    begun_ = news;
    return;
  }
  if (!changes_.empty()) {
    news_.push_back(DelayOverText(*news, changes_, hosts_));
  }
  changes_.clear();
  begun_.reset();
}

absl::Status LinkWatch::Measure() {
  EISBACH_ASSIGN_OR_RETURN(std::vector<LinkReading> readings,
                           MeasureLinks(context_.world(), rounds_));
  if (context_.world().rank() != 0) return absl::OkStatus();
  const bool cpus = context_.device().type() == DeviceType::kCpu;
  for (LinkReading& one : readings) {
    one.in_memory = cpus && hosts_[one.a] == hosts_[one.b];
  }
  Take(std::move(readings));
  return absl::OkStatus();
}

void LinkWatch::Take(std::vector<LinkReading> readings) {
  if (!doubtful_.empty()) {
    readings = BetterReadings(std::exchange(doubtful_, {}), readings);
  } else if (Doubts(readings)) {
    doubtful_ = std::move(readings);
    return;
  }
  if (before_.empty()) {
    before_ = std::move(readings);
    news_ = SlowFromTheStart(before_, hosts_);
  } else if (const auto begun = std::exchange(begun_, std::nullopt)) {
    // One of a step or two may be over before it is measured.
    changes_ = LinkChanges(before_, readings);
    news_.push_back(DelayText(*begun, changes_, hosts_));
  }
}

bool LinkWatch::Doubts(const std::vector<LinkReading>& readings) const {
  if (before_.empty()) return !SlowFromTheStart(readings, hosts_).empty();
  if (!begun_.has_value()) return false;
  return LinkChanges(before_, readings).front().slow();
}

std::optional<SlowLink> LinkWatch::slow_link() const {
  const std::optional<watch::NetworkDelay> delay = finder_.now();
  if (!delay || changes_.empty() || !changes_[0].slow()) return std::nullopt;
  return SlowLink{changes_[0].now.a, changes_[0].now.b, delay->excess};
}

std::vector<std::string> LinkWatch::TakeNews() {
  return std::exchange(news_, {});
}

}  // namespace eisbach::train
