#pragma once

#include <optional>

#include "parallel/pipeline/action.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// Where part p of the model is, p in [0, stages x chunks) in layer order, by
// the shape's placement.
struct Place {
  int stage;
  int chunk;
};
int PartAt(const ScheduleShape& shape, Place place);
Place PlaceOf(const ScheduleShape& shape, int part);

// What a forward hands on, or a backward or backward-input.
Payload PayloadOf(ActionKind kind);

// The part that makes what `action` on `stage` reads, for the same micro-batch:
// that before it in the model for a forward, that behind it for a backward or
// backward-input. Nothing at the ends of the model, and for other actions.
std::optional<int> PartBefore(const ScheduleShape& shape, int stage,
                              const Action& action);
// The part that reads what `action` makes.
std::optional<int> PartAfter(const ScheduleShape& shape, int stage,
                             const Action& action);

// What `action` on `stage` waits for: the activation that a forward reads, the
// gradient that a backward or backward-input reads. Nothing at the ends of the
// model, between parts of one stage, and for other actions.
std::optional<StageTransfer> Needs(const ScheduleShape& shape, int stage,
                                   const Action& action);

// What `action` on `stage` makes for another stage.
std::optional<StageTransfer> Makes(const ScheduleShape& shape, int stage,
                                   const Action& action);

// The same transfer as its partner lists it.
StageTransfer PartnerOf(const ScheduleShape& shape, int stage,
                        const StageTransfer& transfer);

}  // namespace eisbach::parallel
