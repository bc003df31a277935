#include "parallel/pipeline/simulate.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/pipeline/check_schedule.h"
#include "parallel/pipeline/dependencies.h"

namespace eisbach::parallel {
namespace {

// One stage in the middle of the simulation.
struct Stage {
  const ActionList* list;
  size_t next = 0;           // action that the compute lane stands before
  double now = 0;            // when the compute lane is free
  size_t next_exchange = 0;  // position in `exchanges` of the lane's head
  double lane_free = 0;
  std::vector<int> exchanges;                // their indices in the list
  std::vector<std::optional<double>> began;  // by action index
  std::vector<std::optional<double>> ended;
  std::vector<double> reached;
  std::vector<int> holder;  // transfer, by its number -> action index
  int activations = 0;
  StageTimeline timeline{};
};

class Simulator {
 public:
  Simulator(const Schedule& schedule, const SimulationTimes& times)
      : shape_(schedule.shape), times_(times) {
    for (const ActionList& list : schedule.stages) {
      Stage stage{&list};
      stage.began.resize(list.size());
      stage.ended.resize(list.size());
      stage.reached.resize(list.size());
      stage.holder.resize(size_t{4} * shape_.chunks * shape_.microbatches);
      for (size_t i = 0; i < list.size(); ++i) {
        if (list[i].kind == ActionKind::kExchange) stage.exchanges.push_back(i);
        for (const StageTransfer& t : list[i].transfers) {
          stage.holder[NumberOf(t)] = static_cast<int>(i);
        }
      }
      stages_.push_back(std::move(stage));
    }
  }

  absl::StatusOr<Simulation> Run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (int s = 0; s < shape_.stages; ++s) {
        moved |= AdvanceCompute(s);
        moved |= AdvanceExchange(s);
      }
    }
    EISBACH_RETURN_IF_ERROR(CheckFinished());
    return Result();
  }

 private:
  // A stage's transfers, counted through.
  size_t NumberOf(const StageTransfer& t) const {
    const size_t kind = (t.direction == Direction::kSend ? 2 : 0) +
                        (t.payload == Payload::kActivation ? 1 : 0);
    return (kind * shape_.chunks + t.chunk) * shape_.microbatches +
           t.microbatch;
  }

  double SecondsOf(const Action& action, int s) const {
    const bool by_chunk = times_.stages.size() > stages_.size();
    const StageTimes& times =
        times_.stages[by_chunk ? s * shape_.chunks + action.chunk : s];
    switch (action.kind) {
      case ActionKind::kForward:
        return times.forward;
      case ActionKind::kBackward:
        return times.backward;
      case ActionKind::kBackwardInput:
        return times.backward_input;
      case ActionKind::kBackwardWeight:
        return times.backward_weight;
      default:
        return 0;
    }
  }

  void CountActivations(Stage& stage, ActionKind kind) {
    if (kind == ActionKind::kForward) ++stage.activations;
    stage.timeline.peak_activations =
        std::max(stage.timeline.peak_activations, stage.activations);
    if (kind == ActionKind::kBackward || kind == ActionKind::kBackwardWeight) {
      --stage.activations;
    }
  }

  bool AdvanceCompute(int s) {
    Stage& stage = stages_[s];
    bool moved = false;
    for (; stage.next < stage.list->size(); ++stage.next, moved = true) {
      const Action& action = (*stage.list)[stage.next];
      stage.reached[stage.next] = stage.now;
      if (action.kind == ActionKind::kExchange) continue;
      double begin = stage.now;
      if (const auto needs = Needs(shape_, s, action)) {
        const auto& arrived = stage.ended[stage.holder[NumberOf(*needs)]];
        if (!arrived) return moved;
        begin = std::max(begin, *arrived);
      }
      stage.now = begin + SecondsOf(action, s);
      stage.timeline.compute.push_back(
          {static_cast<int>(stage.next), begin, stage.now});
      stage.timeline.busy_seconds += stage.now - begin;
      CountActivations(stage, action.kind);
    }
    return moved;
  }

  // When the transfer is over; nothing while its partner has not started.
  std::optional<double> TransferEnd(int s, const StageTransfer& transfer,
                                    double began) const {
    const Stage& peer = stages_[transfer.peer];
    const StageTransfer partner = PartnerOf(shape_, s, transfer);
    const auto& partner_began = peer.began[peer.holder[NumberOf(partner)]];
    if (!partner_began) return std::nullopt;
    return std::max(began, *partner_began) + times_.transfer;
  }

  bool AdvanceExchange(int s) {
    Stage& stage = stages_[s];
    bool moved = false;
    while (stage.next_exchange < stage.exchanges.size()) {
      const int index = stage.exchanges[stage.next_exchange];
      if (static_cast<size_t>(index) >= stage.next) return moved;
      if (!stage.began[index]) {
        stage.began[index] = std::max(stage.lane_free, stage.reached[index]);
        moved = true;
      }
      double end = *stage.began[index];
      for (const StageTransfer& t : (*stage.list)[index].transfers) {
        const auto over = TransferEnd(s, t, *stage.began[index]);
        if (!over) return moved;
        end = std::max(end, *over);
      }
      stage.ended[index] = stage.lane_free = end;
      stage.timeline.exchanges.push_back({index, *stage.began[index], end});
      ++stage.next_exchange;
      moved = true;
    }
    return moved;
  }

  absl::Status CheckFinished() const {
    std::string waiting;
    for (int s = 0; s < shape_.stages; ++s) {
      const Stage& stage = stages_[s];
      if (stage.next_exchange == stage.exchanges.size() &&
          stage.next == stage.list->size()) {
        continue;
      }
      absl::StrAppend(&waiting, waiting.empty() ? "" : "; ", "stage ", s);
      if (stage.next < stage.list->size()) {
        absl::StrAppend(&waiting, " before ",
                        ToString((*stage.list)[stage.next]));
      }
      if (stage.next_exchange < stage.exchanges.size()) {
        const int index = stage.exchanges[stage.next_exchange];
        absl::StrAppend(&waiting, stage.began[index] ? " in " : " not yet in ",
                        ToString((*stage.list)[index]));
      }
    }
    if (waiting.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("deadlock: ", waiting));
  }

  Simulation Result() {
    Simulation result{};
    double busy = 0;
    for (Stage& stage : stages_) {
      result.seconds = std::max({result.seconds, stage.now, stage.lane_free});
      busy += stage.timeline.busy_seconds;
      result.stages.push_back(std::move(stage.timeline));
    }
    const double available = result.seconds * shape_.stages;
    result.bubble_fraction = available > 0 ? 1 - busy / available : 0;
    return result;
  }

  const ScheduleShape shape_;
  const SimulationTimes& times_;
  std::vector<Stage> stages_;
};

absl::Status CheckTimes(const SimulationTimes& times) {
  const auto check = [](absl::string_view what, double seconds) {
    if (seconds >= 0 && std::isfinite(seconds)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("the time of a ", what, " is ", seconds,
                     ", which is no duration; nearest that works: 0"));
  };
  for (const StageTimes& stage : times.stages) {
    EISBACH_RETURN_IF_ERROR(check("forward", stage.forward));
    EISBACH_RETURN_IF_ERROR(check("backward", stage.backward));
    EISBACH_RETURN_IF_ERROR(check("backward_input", stage.backward_input));
    EISBACH_RETURN_IF_ERROR(check("backward_weight", stage.backward_weight));
  }
  return check("transfer", times.transfer);
}

}  // namespace

absl::StatusOr<Simulation> Simulate(const Schedule& schedule,
                                    const SimulationTimes& times) {
  EISBACH_RETURN_IF_ERROR(CheckSchedule(schedule));
  const size_t stages = schedule.stages.size();
  const size_t chunks = stages * schedule.shape.chunks;
  if (times.stages.size() != stages && times.stages.size() != chunks) {
    return absl::InvalidArgumentError(
        absl::StrCat("times for ", times.stages.size(), " chunks, not ", chunks,
                     ", or for each of ", stages, " stages"));
  }
  EISBACH_RETURN_IF_ERROR(CheckTimes(times));
  return Simulator(schedule, times).Run();
}

SimulationTimes EqualStages(int stages, double forward, double transfer) {
  return {
      std::vector<StageTimes>(stages, {forward, 2 * forward, forward, forward}),
      transfer};
}

SimulationTimes EqualShares(const ScheduleShape& shape, const StageTimes& whole,
                            double transfer) {
  const double share = 1.0 / shape.chunks;
  const StageTimes chunk{whole.forward * share, whole.backward * share,
                         whole.backward_input * share,
                         whole.backward_weight * share};
  return {std::vector<StageTimes>(shape.stages, chunk), transfer};
}

}  // namespace eisbach::parallel
