#include "parallel/pipeline/dependencies.h"

namespace eisbach::parallel {
namespace {

bool ReadsGradient(ActionKind kind) {
  return kind == ActionKind::kBackward || kind == ActionKind::kBackwardInput;
}

// How far along its chunk's stages a place is, or the other way about.
int Along(const ScheduleShape& shape, int stage, int chunk) {
  const bool back = shape.placement == Placement::kV && chunk % 2 == 1;
  return back ? shape.stages - 1 - stage : stage;
}

// The part that `action` hands on to (`way` +1) or has its input from (-1):
// the neighbour in the model, for gradients on the other side.
std::optional<int> PartBeside(const ScheduleShape& shape, int stage,
                              const Action& action, int way) {
  const bool backward = ReadsGradient(action.kind);
  if (action.kind != ActionKind::kForward && !backward) return std::nullopt;
  const int other =
      PartAt(shape, {stage, action.chunk}) + (backward ? -way : way);
  if (other < 0 || other >= shape.stages * shape.chunks) return std::nullopt;
  return other;
}

// The transfer between `stage` and the one that holds the part beside it.
std::optional<StageTransfer> Edge(const ScheduleShape& shape, int stage,
                                  const Action& action, Direction direction) {
  const std::optional<int> other = direction == Direction::kSend
                                       ? PartAfter(shape, stage, action)
                                       : PartBefore(shape, stage, action);
  if (!other) return std::nullopt;
  const int peer = PlaceOf(shape, *other).stage;
  if (peer == stage) return std::nullopt;
  return StageTransfer{direction, PayloadOf(action.kind), action.microbatch,
                       action.chunk, peer};
}

}  // namespace

int PartAt(const ScheduleShape& shape, Place place) {
  return place.chunk * shape.stages + Along(shape, place.stage, place.chunk);
}

Place PlaceOf(const ScheduleShape& shape, int part) {
  const int chunk = part / shape.stages;
  return {Along(shape, part % shape.stages, chunk), chunk};
}

Payload PayloadOf(ActionKind kind) {
  return ReadsGradient(kind) ? Payload::kGradient : Payload::kActivation;
}

std::optional<int> PartBefore(const ScheduleShape& shape, int stage,
                              const Action& action) {
  return PartBeside(shape, stage, action, -1);
}

std::optional<int> PartAfter(const ScheduleShape& shape, int stage,
                             const Action& action) {
  return PartBeside(shape, stage, action, +1);
}

std::optional<StageTransfer> Needs(const ScheduleShape& shape, int stage,
                                   const Action& action) {
  return Edge(shape, stage, action, Direction::kReceive);
}

std::optional<StageTransfer> Makes(const ScheduleShape& shape, int stage,
                                   const Action& action) {
  return Edge(shape, stage, action, Direction::kSend);
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
