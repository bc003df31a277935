#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/config.h"
#include "models/transformer.h"
#include "parallel/pipeline/partition.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::train {

// The pipeline schedule of a step. `chunks` 0: as few as it runs. With
// `deferred_weights` each backward that is whole is followed by its weight half
// in an action of its own.
absl::StatusOr<parallel::Schedule> MakeStepSchedule(absl::string_view name,
                                                    int stages, int chunks,
                                                    int micro_batches,
                                                    bool deferred_weights);
// Its shape alone; the same errors.
absl::StatusOr<parallel::ScheduleShape> ShapeOfStep(absl::string_view name,
                                                    int stages, int chunks,
                                                    int micro_batches);

// The layers of each part of the model, stages x chunks of `shape`: as listed,
// a number a part, where `layers_per_stage` is not empty, else balanced by the
// floating-point operations of layers and head.
absl::StatusOr<std::vector<parallel::LayerRange>> DivideLayers(
    const models::ModelConfig& config, absl::Span<const int> layers_per_stage,
    const parallel::ScheduleShape& shape);

// The chunks of `stage` among those parts.
std::vector<models::StageLayers> ChunksOfStage(
    absl::Span<const parallel::LayerRange> parts,
    const parallel::ScheduleShape& shape, int stage);

// Blocks of `stage` among those parts, and of the stage that has most.
int64_t BlocksOfStage(absl::Span<const parallel::LayerRange> parts,
                      const parallel::ScheduleShape& shape, int stage);
int64_t MostBlocksOfAStage(absl::Span<const parallel::LayerRange> parts,
                           const parallel::ScheduleShape& shape);

// Whether a stage has the `blocks`, its first ones, that shall be recomputed:
// TransformerOptions::kAllBlocks, or as many as some stage has at most.
absl::Status CheckRecompute(nn::Recompute recompute, int64_t blocks,
                            absl::Span<const parallel::LayerRange> parts,
                            const parallel::ScheduleShape& shape);

}  // namespace eisbach::train
