#include "parallel/pipeline/dependencies.h"

namespace eisbach::parallel {
namespace {

bool ReadsGradient(ActionKind kind) {
  return kind == ActionKind::kBackward || kind == ActionKind::kBackwardInput;
}

// The transfer of `payload` between `stage` and the part `step` away from the
// one that the action runs.
std::optional<StageTransfer> Edge(const ScheduleShape& shape, int stage,
                                  const Action& action, Direction direction,
                                  Payload payload, int step) {
  const int other = PartAt(shape, {stage, action.chunk}) + step;
  if (other < 0 || other >= shape.stages * shape.chunks) return std::nullopt;
  const int peer = PlaceOf(shape, other).stage;
  if (peer == stage) return std::nullopt;
  return StageTransfer{direction, payload, action.microbatch, action.chunk,
                       peer};
}

}  // namespace

int PartAt(const ScheduleShape& shape, Place place) {
  return place.chunk * shape.stages + place.stage;
}

Place PlaceOf(const ScheduleShape& shape, int part) {
  return {part % shape.stages, part / shape.stages};
}

std::optional<StageTransfer> Needs(const ScheduleShape& shape, int stage,
                                   const Action& action) {
  if (action.kind == ActionKind::kForward) {
    return Edge(shape, stage, action, Direction::kReceive, Payload::kActivation,
                -1);
  }
  if (ReadsGradient(action.kind)) {
    return Edge(shape, stage, action, Direction::kReceive, Payload::kGradient,
                +1);
  }
  return std::nullopt;
}

std::optional<StageTransfer> Makes(const ScheduleShape& shape, int stage,
                                   const Action& action) {
  if (action.kind == ActionKind::kForward) {
    return Edge(shape, stage, action, Direction::kSend, Payload::kActivation,
                +1);
  }
  if (ReadsGradient(action.kind)) {
    return Edge(shape, stage, action, Direction::kSend, Payload::kGradient, -1);
  }
  return std::nullopt;
}

StageTransfer PartnerOf(const ScheduleShape& shape, int stage,
                        const StageTransfer& transfer) {
  const bool sends = transfer.direction == Direction::kSend;
  const bool downstream = sends == (transfer.payload == Payload::kActivation);
  const int part = PartAt(shape, {stage, transfer.chunk});
  StageTransfer partner = transfer;
  partner.direction = sends ? Direction::kReceive : Direction::kSend;
  partner.chunk = PlaceOf(shape, part + (downstream ? 1 : -1)).chunk;
  partner.peer = stage;
  return partner;
}

}  // namespace eisbach::parallel
