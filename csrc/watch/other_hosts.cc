#include "watch/other_hosts.h"

#include <poll.h>

#include <map>
#include <random>
#include <utility>

#include "absl/time/clock.h"
#include "core/json.h"
#include "watch/monotonic.h"

namespace eisbach::watch {
namespace {

constexpr char kAsk = 'Q';
constexpr char kAskStacks = 'S';
constexpr char kAnswer = 'A';
constexpr char kEnd = 'E';
constexpr char kEndWithout = 'L';  // a host, which is lost
constexpr absl::Duration kAgain = absl::Milliseconds(150);
// A message may be lost.
constexpr int kEndCopies = 3;

std::string Text(const nlohmann::json& json) {
  // A host's name may be no UTF-8.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

OtherHosts::OtherHosts(std::unique_ptr<SideChannel> channel,
                       std::vector<Place> places, Neighbours& neighbours)
    : channel_(std::move(channel)),
      places_(std::move(places)),
      neighbours_(neighbours) {}

bool OtherHosts::Answer() {
  while (auto received = channel_->Receive()) {
    const SideChannel::Message& message = received->message;
    if (message.kind == kEndWithout) loss_told_ = true;
    if (message.kind == kEnd || loss_told_) end_told_ = true;
    if (message.kind == kAsk || message.kind == kAskStacks) {
      if (message.kind == kAskStacks) neighbours_.AskStacks();
      for (const RankView& view : neighbours_.Read()) {
        channel_->Reply(*received, {.kind = kAnswer,
                                    .nonce = message.nonce,
                                    .body = Text(ToJson(view))});
      }
    }
    if (message.kind == kAnswer && message.nonce == nonce_ && take_) {
      const auto json = ReadJson(message.body, "an answer");
      if (!json.ok()) continue;
      absl::StatusOr<RankView> view = FromJson(*json);
      if (view.ok()) take_(*std::move(view));
    }
  }
  return end_told_;
}

void OtherHosts::AskOnce(const std::vector<bool>& known, bool stacks,
                         uint64_t nonce, int round) {
  std::map<int, std::vector<const Place*>> hosts;
  for (const Place& place : places_) {
    if (!known[place.rank]) hosts[place.host].push_back(&place);
  }
  // Another rank each time: one may be stopped.
  for (const auto& [host, unknown] : hosts) {
    const Place& asked = *unknown[round % unknown.size()];
    for (const std::string& address : asked.addresses) {
      channel_->Send(address,
                     {.kind = stacks ? kAskStacks : kAsk, .nonce = nonce});
    }
  }
}

void OtherHosts::Ask(std::vector<RankView>& ranks, bool stacks,
                     absl::Duration patience) {
  std::random_device random;
  nonce_ = uint64_t{random()} << 32 | random();
  std::vector<bool> known(ranks.size(), true);
  size_t missing = 0;
  for (const Place& place : places_) {
    // Nobody waits for the stack of one that could not be asked before.
    known[place.rank] =
        stacks && ranks[place.rank].standing == Standing::kNoAnswer;
    missing += !known[place.rank];
  }
  take_ = [&](RankView view) {
    if (view.rank < 0 || view.rank >= static_cast<int>(ranks.size()) ||
        known[view.rank]) {
      return;
    }
    const bool whole =
        !stacks || !view.stack.empty() || view.standing != Standing::kRuns;
    const int rank = view.rank;
    ranks[rank] = std::move(view);
    if (!whole) return;
    known[rank] = true;
    --missing;
  };
  const absl::Time deadline = MonotonicNow() + patience;
  absl::Time again = absl::InfinitePast();
  for (int round = 0; missing > 0 && MonotonicNow() < deadline;) {
    if (MonotonicNow() >= again) {
      AskOnce(known, stacks, nonce_, round++);
      again = MonotonicNow() + kAgain;
    }
    pollfd waits = {.fd = channel_->fd(), .events = POLLIN, .revents = 0};
    poll(&waits, 1, 20);
    Answer();
  }
  take_ = nullptr;
}

void OtherHosts::TellEnd(bool host_lost) {
  for (int copy = 0; copy < kEndCopies; ++copy) {
    for (const Place& place : places_) {
      for (const std::string& address : place.addresses) {
        channel_->Send(address, {.kind = host_lost ? kEndWithout : kEnd});
      }
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
}

}  // namespace eisbach::watch
