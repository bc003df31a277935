#include "parallel/pipeline/check_schedule.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/pipeline/dependencies.h"

namespace eisbach::parallel {
namespace {

// What one stage sends or receives and has yet to, by the micro-batch and chunk
// that each is of.
class Pending {
 public:
  explicit Pending(const ScheduleShape& shape)
      : shape_(shape),
        peers_(size_t{2} * shape.chunks * shape.microbatches, kNone) {}

  bool Has(const StageTransfer& t) const {
    return InRange(t) && peers_[At(t)] == t.peer;
  }
  // False where it is there or cannot be.
  bool Add(const StageTransfer& t) {
    if (!InRange(t) || peers_[At(t)] != kNone) return false;
    peers_[At(t)] = t.peer;
    ++size_;
    return true;
  }
  // False where it is not there.
  bool Take(const StageTransfer& t) {
    if (!Has(t)) return false;
    peers_[At(t)] = kNone;
    --size_;
    return true;
  }
  int64_t size() const { return size_; }

 private:
  static constexpr int kNone = -1;

  bool InRange(const StageTransfer& t) const {
    return t.microbatch >= 0 && t.microbatch < shape_.microbatches &&
           t.chunk >= 0 && t.chunk < shape_.chunks && t.peer >= 0;
  }
  size_t At(const StageTransfer& t) const {
    const size_t payload = t.payload == Payload::kActivation ? 0 : 1;
    return (payload * shape_.chunks + t.chunk) * shape_.microbatches +
           t.microbatch;
  }

  const ScheduleShape& shape_;
  std::vector<int> peers_;
  int64_t size_ = 0;
};

class StageCheck {
 public:
  StageCheck(const ScheduleShape& shape, int stage)
      : shape_(shape),
        stage_(stage),
        done_(size_t{kKinds} * shape.chunks * (shape.microbatches + 1)),
        backwards_(shape.chunks),
        made_(shape),
        received_(shape) {}

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

  // How often it came; `microbatch` -1 is that of reductions.
  uint8_t& Count(ActionKind kind, int microbatch, int chunk) {
    const size_t row = static_cast<size_t>(kind) * shape_.chunks + chunk;
    return done_[row * (shape_.microbatches + 1) + microbatch + 1];
  }

  absl::Status Exchange(const Action& action) {
    if (action.transfers.empty()) return Error(action, "is empty");
    for (const StageTransfer& transfer : action.transfers) {
      const bool sends = transfer.direction == Direction::kSend;
      if (sends && !made_.Take(transfer)) {
        return Error(action, absl::StrCat("sends ", ToString(transfer),
                                          ", which was not made before it"));
      }
      if (!sends && !received_.Add(transfer)) {
        return Error(action, received_.Has(transfer)
                                 ? "receives the same twice"
                                 : "receives what nobody needs");
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
    const int of = action.kind == ActionKind::kReduce ? -1 : m;
    uint8_t& times = Count(action.kind, of, c);
    if (times > 0) return Error(action, "comes twice");
    times = 1;
    const int forwards = Count(ActionKind::kForward, m, c);
    const int inputs = Count(ActionKind::kBackwardInput, m, c);
    switch (action.kind) {
      case ActionKind::kBackward:
      case ActionKind::kBackwardInput:
        if (forwards == 0) return Error(action, "comes before its forward");
        if (action.kind == ActionKind::kBackward) ++backwards_[c];
        break;
      case ActionKind::kBackwardWeight:
        if (inputs == 0) return Error(action, "comes before its input half");
        ++backwards_[c];
        break;
      case ActionKind::kReduce:
        if (backwards_[c] != shape_.microbatches) {
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
      if (!received_.Take(*needs)) {
        return Error(action, absl::StrCat("needs ", ToString(*needs),
                                          ", which no exchange before it has"));
      }
    }
    if (const auto makes = Makes(shape_, stage_, action)) {
      made_.Add(*makes);
    }
    return absl::OkStatus();
  }

  // Whether what `action` reads was made before it, where this stage makes it.
  bool IsMade(const Action& action) {
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

  absl::Status AtEnd() {
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
    if (made_.size() + received_.size() > 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "stage ", stage_, ": ", made_.size(), " results are never sent and ",
          received_.size(), " receives are never used"));
    }
    return absl::OkStatus();
  }

  static constexpr int kKinds = static_cast<int>(ActionKind::kReduce) + 1;

  const ScheduleShape& shape_;
  const int stage_;
  std::vector<uint8_t> done_;
  std::vector<int> backwards_;  // of each chunk
  Pending made_;                // not sent yet
  Pending received_;            // not used yet
};

// What a stage exchanges with one other in one direction, in order.
using Transfers = std::vector<StageTransfer>;
using ByPeer = absl::flat_hash_map<std::pair<int, Direction>, Transfers>;

ByPeer Listed(const ActionList& list) {
  ByPeer listed;
  for (const Action& action : list) {
    for (const StageTransfer& transfer : action.transfers) {
      listed[{transfer.peer, transfer.direction}].push_back(transfer);
    }
  }
  return listed;
}

const Transfers& Find(const ByPeer& listed, int peer, Direction direction) {
  static const Transfers* nothing = new Transfers;
  const auto found = listed.find({peer, direction});
  return found == listed.end() ? *nothing : found->second;
}

absl::Status CheckPair(const ScheduleShape& shape,
                       const std::vector<ByPeer>& listed, int from, int to) {
  const Transfers& sent = Find(listed[from], to, Direction::kSend);
  const Transfers& received = Find(listed[to], from, Direction::kReceive);
  for (size_t i = 0; i < std::max(sent.size(), received.size()); ++i) {
    if (i < sent.size() && i < received.size() &&
        PartnerOf(shape, from, sent[i]) == received[i]) {
      continue;
    }
    const auto text = [i](const Transfers& transfers) {
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
  std::vector<ByPeer> listed;
  for (const ActionList& list : schedule.stages) {
    listed.push_back(Listed(list));
  }
  for (int from = 0; from < stages; ++from) {
    for (int to = 0; to < stages; ++to) {
      EISBACH_RETURN_IF_ERROR(CheckPair(schedule.shape, listed, from, to));
    }
  }
  for (int stage = 0; stage < stages; ++stage) {
    EISBACH_RETURN_IF_ERROR(
        StageCheck(schedule.shape, stage).Run(schedule.stages[stage]));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::parallel
