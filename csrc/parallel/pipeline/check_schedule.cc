#include "parallel/pipeline/check_schedule.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/pipeline/dependencies.h"

namespace eisbach::parallel {
namespace {

using TransferKey = std::tuple<Direction, Payload, int, int, int>;

TransferKey KeyOf(const StageTransfer& t) {
  return {t.direction, t.payload, t.microbatch, t.chunk, t.peer};
}

class StageCheck {
 public:
  StageCheck(const ScheduleShape& shape, int stage)
      : shape_(shape), stage_(stage) {}

  absl::Status Run(const ActionList& list) {
    for (const Action& action : list) {
      EISBACH_RETURN_IF_ERROR(action.kind == ActionKind::kExchange
                                  ? Exchange(action)
                                  : Compute(action));
    }
    return AtEnd();
  }

 private:
  absl::Status Error(const Action& action, absl::string_view why) const {
    return absl::FailedPreconditionError(
        absl::StrCat("stage ", stage_, ": ", ToString(action), " ", why));
  }

  int Count(ActionKind kind, int microbatch, int chunk) const {
    const auto found = done_.find({kind, microbatch, chunk});
    return found == done_.end() ? 0 : found->second;
  }

  absl::Status Exchange(const Action& action) {
    if (action.transfers.empty()) return Error(action, "is empty");
    for (const StageTransfer& transfer : action.transfers) {
      const bool sends = transfer.direction == Direction::kSend;
      if (sends && made_.erase(KeyOf(transfer)) == 0) {
        return Error(action, absl::StrCat("sends ", ToString(transfer),
                                          ", which was not made before it"));
      }
      if (!sends && !received_.insert(KeyOf(transfer)).second) {
        return Error(action, "receives the same twice");
      }
    }
    return absl::OkStatus();
  }

  absl::Status Compute(const Action& action) {
    const int m = action.microbatch, c = action.chunk;
    if (c < 0 || c >= shape_.chunks) return Error(action, "has no such chunk");
    if (action.kind != ActionKind::kReduce &&
        (m < 0 || m >= shape_.microbatches)) {
      return Error(action, "has no such micro-batch");
    }
    if (++done_[{action.kind, m, c}] > 1) return Error(action, "comes twice");
    const int forwards = Count(ActionKind::kForward, m, c);
    const int inputs = Count(ActionKind::kBackwardInput, m, c);
    switch (action.kind) {
      case ActionKind::kBackward:
      case ActionKind::kBackwardInput:
        if (forwards == 0) return Error(action, "comes before its forward");
        break;
      case ActionKind::kBackwardWeight:
        if (inputs == 0) return Error(action, "comes before its input half");
        break;
      case ActionKind::kReduce:
        if (Backwards(c) != shape_.microbatches) {
          return Error(action, "comes before the chunk's last backward");
        }
        break;
      default:
        break;
    }
    if (!IsMade(action)) {
      return Error(action, "comes before the part that it reads from");
    }
    if (const auto needs = Needs(shape_, stage_, action)) {
      if (received_.erase(KeyOf(*needs)) == 0) {
        return Error(action, absl::StrCat("needs ", ToString(*needs),
                                          ", which no exchange before it has"));
      }
    }
    if (const auto makes = Makes(shape_, stage_, action)) {
      made_.insert(KeyOf(*makes));
    }
    return absl::OkStatus();
  }

  // Whether what `action` reads was made before it, where this stage makes it.
  bool IsMade(const Action& action) const {
    const auto before = PartBefore(shape_, stage_, action);
    if (!before) return true;
    const Place place = PlaceOf(shape_, *before);
    if (place.stage != stage_) return true;
    const auto count = [&](ActionKind kind) {
      return Count(kind, action.microbatch, place.chunk);
    };
    return action.kind == ActionKind::kForward
               ? count(ActionKind::kForward) > 0
               : count(ActionKind::kBackward) +
                         count(ActionKind::kBackwardInput) >
                     0;
  }

  int Backwards(int chunk) const {
    int n = 0;
    for (int m = 0; m < shape_.microbatches; ++m) {
      n += Count(ActionKind::kBackward, m, chunk) +
           Count(ActionKind::kBackwardWeight, m, chunk);
    }
    return n;
  }

  absl::Status AtEnd() const {
    for (int c = 0; c < shape_.chunks; ++c) {
      for (int m = 0; m < shape_.microbatches; ++m) {
        const int whole = Count(ActionKind::kBackward, m, c);
        const int input = Count(ActionKind::kBackwardInput, m, c);
        const int weight = Count(ActionKind::kBackwardWeight, m, c);
        if (Count(ActionKind::kForward, m, c) == 1 && whole + input == 1 &&
            input == weight) {
          continue;
        }
        return absl::FailedPreconditionError(
            absl::StrCat("stage ", stage_, ": micro-batch ", m, " of chunk ", c,
                         " does not go once forward and once backward"));
      }
      if (Count(ActionKind::kReduce, -1, c) != 1) {
        return absl::FailedPreconditionError(
            absl::StrCat("stage ", stage_, ": chunk ", c, " is not reduced"));
      }
    }
    if (!made_.empty() || !received_.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "stage ", stage_, ": ", made_.size(), " results are never sent and ",
          received_.size(), " receives are never used"));
    }
    return absl::OkStatus();
  }

  const ScheduleShape& shape_;
  const int stage_;
  std::map<std::tuple<ActionKind, int, int>, int> done_;
  std::set<TransferKey> made_;      // not sent yet
  std::set<TransferKey> received_;  // not used yet
};

// What `stage` sends to or receives from `peer`, in order.
std::vector<StageTransfer> Listed(const Schedule& schedule, int stage, int peer,
                                  Direction direction) {
  std::vector<StageTransfer> transfers;
  for (const Action& action : schedule.stages[stage]) {
    for (const StageTransfer& transfer : action.transfers) {
      if (transfer.peer == peer && transfer.direction == direction) {
        transfers.push_back(transfer);
      }
    }
  }
  return transfers;
}

absl::Status CheckPair(const Schedule& schedule, int from, int to) {
  const auto sent = Listed(schedule, from, to, Direction::kSend);
  const auto received = Listed(schedule, to, from, Direction::kReceive);
  for (size_t i = 0; i < std::max(sent.size(), received.size()); ++i) {
    if (i < sent.size() && i < received.size() &&
        PartnerOf(schedule.shape, from, sent[i]) == received[i]) {
      continue;
    }
    const auto text = [i](const std::vector<StageTransfer>& transfers) {
      return i < transfers.size() ? ToString(transfers[i]) : "nothing";
    };
    return absl::FailedPreconditionError(
        absl::StrCat("transfer ", i, " from stage ", from, " to stage ", to,
                     " does not match: ", from, " lists ", text(sent), ", ", to,
                     " lists ", text(received)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSchedule(const Schedule& schedule) {
  const int stages = schedule.shape.stages;
  if (schedule.stages.size() != static_cast<size_t>(stages)) {
    return absl::FailedPreconditionError(
        absl::StrCat(schedule.stages.size(), " lists for ", stages, " stages"));
  }
  for (int from = 0; from < stages; ++from) {
    for (int to = 0; to < stages; ++to) {
      EISBACH_RETURN_IF_ERROR(CheckPair(schedule, from, to));
    }
  }
  for (int stage = 0; stage < stages; ++stage) {
    EISBACH_RETURN_IF_ERROR(
        StageCheck(schedule.shape, stage).Run(schedule.stages[stage]));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::parallel
