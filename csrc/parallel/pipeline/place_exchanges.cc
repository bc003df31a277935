#include "parallel/pipeline/place_exchanges.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/pipeline/dependencies.h"

namespace eisbach::parallel {
namespace {

// Planned times. A transfer takes next to nothing, so that it changes no order,
// but not nothing: what waits for it has not begun at its moment.
constexpr int64_t kForward = 1000;
constexpr int64_t kTransfer = 1;

int64_t PlannedTime(ActionKind kind) {
  return kind == ActionKind::kBackward ? 2 * kForward : kForward;
}

// An entry of a stage's list and its place among those of all stages.
struct Event {
  // Of one moment first what ends, then what is exchanged, then what is
  // reduced.
  enum Kind : uint8_t { kEnds, kExchanged, kReduced };

  int64_t moment;
  Kind kind;
  // Which of the transfers that begin at one moment: by who made it.
  int part;
  int microbatch;
  Action action;

  bool operator<(const Event& other) const {
    const auto key = [](const Event& event) {
      return std::tuple(event.moment, event.kind, event.part, event.microbatch);
    };
    return key(*this) < key(other);
  }
};

bool IsSending(const Action& action) {
  return action.kind == ActionKind::kExchange &&
         action.transfers.back().direction == Direction::kSend;
}

class Plan {
 public:
  Plan(const ScheduleShape& shape, std::vector<ActionList> orders)
      : shape_(shape),
        orders_(std::move(orders)),
        next_(shape.stages),
        now_(shape.stages),
        events_(shape.stages) {
    const size_t results =
        static_cast<size_t>(shape.stages) * shape.chunks * shape.microbatches;
    for (auto& made : made_) made.resize(results);
  }

  absl::Status Run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (int s = 0; s < shape_.stages; ++s) {
        while (next_[s] < orders_[s].size() && Advance(s)) moved = true;
      }
    }
    for (int s = 0; s < shape_.stages; ++s) {
      if (next_[s] < orders_[s].size()) {
        return absl::FailedPreconditionError(absl::StrCat(
            "the orders of the stages wait for one another: stage ", s,
            " before ", ToString(orders_[s][next_[s]])));
      }
    }
    return absl::OkStatus();
  }

  ActionList TakeList(int s) {
    std::vector<Event>& events = events_[s];
    AddReductions(s);
    std::sort(events.begin(), events.end());
    ActionList list;
    for (Event& event : events) {
      if (event.kind == Event::kExchanged && !list.empty() &&
          IsSending(list.back())) {
        list.back().transfers.push_back(event.action.transfers[0]);
      } else {
        list.push_back(std::move(event.action));
      }
    }
    return list;
  }

 private:
  using Made = std::vector<std::optional<int64_t>>;

  size_t At(int part, int microbatch) const {
    return static_cast<size_t>(part) * shape_.microbatches + microbatch;
  }

  // When the next action of a stage may begin; nothing while that is unknown.
  std::optional<int64_t> Begin(int s, const Action& action) const {
    const auto before = PartBefore(shape_, s, action);
    if (!before) return now_[s];
    const bool forward = action.kind == ActionKind::kForward;
    const auto& made = made_[forward ? 0 : 1][At(*before, action.microbatch)];
    if (!made) return std::nullopt;
    const bool local = PlaceOf(shape_, *before).stage == s;
    return std::max(now_[s], *made + (local ? 0 : kTransfer));
  }

  bool Advance(int s) {
    const Action& action = orders_[s][next_[s]];
    const std::optional<int64_t> begin = Begin(s, action);
    if (!begin) return false;
    const int64_t end = *begin + PlannedTime(action.kind);
    now_[s] = end;
    ++next_[s];
    const int part = PartAt(shape_, {s, action.chunk});
    const int microbatch = action.microbatch;
    events_[s].push_back({end, Event::kEnds, part, microbatch, action});
    if (action.kind == ActionKind::kBackwardWeight) return true;
    const bool forward = action.kind == ActionKind::kForward;
    made_[forward ? 0 : 1][At(part, microbatch)] = end;
    const auto list = [&](int stage, const StageTransfer& transfer) {
      events_[stage].push_back({end,
                                Event::kExchanged,
                                part,
                                microbatch,
                                {ActionKind::kExchange, -1, 0, {transfer}}});
    };
    if (const auto sent = Makes(shape_, s, action)) {
      list(s, *sent);
      list(sent->peer, PartnerOf(shape_, s, *sent));
    }
    return true;
  }

  // Behind the last backward of each chunk that has any.
  void AddReductions(int s) {
    std::vector<int64_t> last(shape_.chunks, -1);
    for (const Event& event : events_[s]) {
      const ActionKind kind = event.action.kind;
      if (kind == ActionKind::kBackward ||
          kind == ActionKind::kBackwardWeight) {
        int64_t& moment = last[event.action.chunk];
        moment = std::max(moment, event.moment);
      }
    }
    for (int c = 0; c < shape_.chunks; ++c) {
      if (last[c] < 0) continue;
      events_[s].push_back({last[c],
                            Event::kReduced,
                            PartAt(shape_, {s, c}),
                            -1,
                            {ActionKind::kReduce, -1, c}});
    }
  }

  const ScheduleShape shape_;
  const std::vector<ActionList> orders_;
  std::vector<size_t> next_;
  std::vector<int64_t> now_;
  std::vector<std::vector<Event>> events_;
  Made made_[2];  // by forwards and by backwards, of each part and micro-batch
};

}  // namespace

absl::StatusOr<std::vector<ActionList>> PlaceExchanges(
    const ScheduleShape& shape, std::vector<ActionList> orders) {
  Plan plan(shape, std::move(orders));
  EISBACH_RETURN_IF_ERROR(plan.Run());
  std::vector<ActionList> lists;
  for (int s = 0; s < shape.stages; ++s) lists.push_back(plan.TakeList(s));
  return lists;
}

}  // namespace eisbach::parallel
