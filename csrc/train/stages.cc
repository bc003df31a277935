#include "train/stages.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/pipeline/dependencies.h"

namespace eisbach::train {
namespace {

// All weight gradients of a micro-batch after its input gradient, in an action
// of their own.
parallel::ActionList SplitBackward(const parallel::ActionList& actions) {
  parallel::ActionList split;
  for (const parallel::Action& action : actions) {
    split.push_back(action);
    if (action.kind != parallel::ActionKind::kBackward) continue;
    split.back().kind = parallel::ActionKind::kBackwardInput;
    parallel::Action weight = action;
    weight.kind = parallel::ActionKind::kBackwardWeight;
    split.push_back(std::move(weight));
  }
  return split;
}

absl::StatusOr<int> ChunksOrFewest(absl::string_view name, int chunks) {
  if (chunks != 0) return chunks;
  EISBACH_ASSIGN_OR_RETURN(const parallel::ChunkLimits limits,
                           parallel::ChunksOf(name));
  return limits.least;
}

}  // namespace

absl::StatusOr<parallel::Schedule> MakeStepSchedule(absl::string_view name,
                                                    int stages, int chunks,
                                                    int micro_batches,
                                                    bool deferred_weights) {
  EISBACH_ASSIGN_OR_RETURN(const int held, ChunksOrFewest(name, chunks));
  EISBACH_ASSIGN_OR_RETURN(
      parallel::Schedule schedule,
      parallel::MakeSchedule(name, stages, held, micro_batches));
  if (deferred_weights) {
    for (parallel::ActionList& list : schedule.stages) {
      list = SplitBackward(list);
    }
  }
  return schedule;
}

absl::StatusOr<parallel::ScheduleShape> ShapeOfStep(absl::string_view name,
                                                    int stages, int chunks,
                                                    int micro_batches) {
  EISBACH_ASSIGN_OR_RETURN(const int held, ChunksOrFewest(name, chunks));
  return parallel::ShapeOfSchedule(name, stages, held, micro_batches);
}

absl::StatusOr<std::vector<parallel::LayerRange>> DivideLayers(
    const models::ModelConfig& config, absl::Span<const int> layers_per_stage,
    const parallel::ScheduleShape& shape) {
  const int parts = shape.stages * shape.chunks;
  if (shape.chunks > 1 && parts > config.layers) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parallel.chunks=", shape.chunks, " x parallel.pipeline=", shape.stages,
        " needs a layer for each chunk, and the model has model.layers=",
        config.layers, "; nearest that works: model.layers=", parts));
  }
  if (!layers_per_stage.empty()) {
    return parallel::StagesOf(layers_per_stage, static_cast<int>(config.layers),
                              shape.stages, shape.chunks);
  }
  const double head = models::HeadFlopsPerToken(config);
  const double layer = (models::TrainingFlopsPerToken(config) - head) /
                       static_cast<double>(config.layers);
  parallel::LayerCosts costs;
  costs.layers.assign(config.layers, layer);
  costs.first_stage = 0;  // a look-up and a sum
  costs.last_stage = head;
  return parallel::BalanceStages(costs, parts);
}

std::vector<models::StageLayers> ChunksOfStage(
    absl::Span<const parallel::LayerRange> parts,
    const parallel::ScheduleShape& shape, int stage) {
  std::vector<models::StageLayers> chunks;
  for (int chunk = 0; chunk < shape.chunks; ++chunk) {
    const parallel::LayerRange& layers =
        parts[parallel::PartAt(shape, {stage, chunk})];
    chunks.push_back({layers.begin, layers.end});
  }
  return chunks;
}

int64_t BlocksOfStage(absl::Span<const parallel::LayerRange> parts,
                      const parallel::ScheduleShape& shape, int stage) {
  int64_t blocks = 0;
  for (int chunk = 0; chunk < shape.chunks; ++chunk) {
    blocks += parts[parallel::PartAt(shape, {stage, chunk})].size();
  }
  return blocks;
}

int64_t MostBlocksOfAStage(absl::Span<const parallel::LayerRange> parts,
                           const parallel::ScheduleShape& shape) {
  int64_t most = 0;
  for (int stage = 0; stage < shape.stages; ++stage) {
    most = std::max(most, BlocksOfStage(parts, shape, stage));
  }
  return most;
}

absl::Status CheckRecompute(nn::Recompute recompute, int64_t blocks,
                            absl::Span<const parallel::LayerRange> parts,
                            const parallel::ScheduleShape& shape) {
  if (blocks == models::TransformerOptions::kAllBlocks) return absl::OkStatus();
  if (recompute == nn::Recompute::kNothing) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recompute_layers=", blocks,
        " has no meaning where train.recompute=none (train.recompute_layers); "
        "nearest that works: recompute_layers=all"));
  }
  const int64_t most = MostBlocksOfAStage(parts, shape);
  if (blocks >= 0 && blocks <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "recompute_layers=", blocks, " is outside 0 to ", most,
      ", the blocks of a stage (train.recompute_layers); nearest that works: ",
      blocks < 0 ? 0 : most));
}

}  // namespace eisbach::train
