#include "plan/layout_bounds.h"

#include <algorithm>
#include <utility>

#include "core/status_macros.h"
#include "parallel/data/shard_reducer.h"
#include "parallel/pipeline/dependencies.h"
#include "plan/collective_seconds.h"
#include "train/stages.h"

namespace eisbach::plan {
namespace {

using parallel::Action;
using parallel::ActionKind;

// Of sums in another order.
constexpr double kRounding = 1 - 1e-9;
// What is gathered is there before and behind the blocks that need it, which
// moves what a step holds at the most a little.
constexpr double kGathering = 0.95;
// Buckets whose gradients a rank leaves on their way when backward ends.
constexpr double kTravels = parallel::ShardReducer::kMostTravels;

// The most that a stage's list keeps for backward, of chunks that keep these.
double MostKept(const parallel::ActionList& list,
                const std::vector<PartCosts>& chunks, double working) {
  double now = 0, most = 0;
  for (const Action& action : list) {
    const PartCosts& chunk = chunks[action.chunk];
    switch (action.kind) {
      case ActionKind::kForward:
        now += chunk.kept;
        most = std::max(most, now);
        break;
      case ActionKind::kBackward:
        most = std::max(most, now - chunk.head + working);
        now -= chunk.kept;
        break;
      case ActionKind::kBackwardInput:
        most = std::max(most, now - chunk.head + working);
        now -= chunk.kept - chunk.held;
        most = std::max(most, now);
        break;
      case ActionKind::kBackwardWeight:
        now -= chunk.held;
        break;
      default:
        break;
    }
  }
  return most;
}

}  // namespace

int64_t LayoutBounds::MicroBatches(const Layout& layout) const {
  return config_.global_batch / (layout.micro_batch * layout.data);
}

StepUse LayoutBounds::Rough(const Layout& layout) const {
  const models::ModelConfig& model = config_.model;
  const double tokens = static_cast<double>(config_.global_batch) *
                        static_cast<double>(model.context);
  const double devices = static_cast<double>(layout.devices());
  const PeakRates& peak = hardware_.peak;
  double rate =
      config_.update.compute_dtype == DType::kF32 ? peak.f32 : peak.f16;
  if (play_.products != ProductType::kAsIs) {
    rate = std::max({rate, peak.f8, peak.f4});
  }
  models::ModelConfig products = model;
  products.context = 1;  // attention has its own rate, and half of the pairs
  const Experts& experts = play_.experts;
  if (experts.any()) products.ffn_hidden = experts.active_hidden();
  const double computing = models::TrainingFlopsPerToken(products) * tokens /
                           devices / (rate * hardware_.matmul_fraction);
  double seconds = computing;
  if (layout.tensor > 1) {
    // Two sums a layer and direction, each of the activations of a token.
    const double bytes = tokens / (1.0 * layout.data * layout.context) *
                         static_cast<double>(model.hidden) * 2;
    const GroupPlace place = PlaceOf(layout.tensor, 1, hardware_);
    // Around routed experts there are none (expert_work.h).
    const double sums = experts.any() && experts.shared_hidden == 0 ? 2 : 4;
    seconds += sums * static_cast<double>(model.layers) / layout.pipeline *
               (CollectiveSeconds("all_reduce", bytes, place, hardware_) -
                CollectiveSeconds("all_reduce", 0, place, hardware_));
  }
  const double micro_batches = static_cast<double>(MicroBatches(layout));
  double idle = (layout.pipeline - 1.0) / layout.chunks;
  const bool whole = layout.schedule == "1f1b" || layout.schedule == "gpipe" ||
                     layout.schedule == "interleaved";
  if (!whole) idle /= 3;
  return {seconds * (1 + idle / micro_batches), computing};
}

absl::StatusOr<std::shared_ptr<const LayoutBounds::Division>>
LayoutBounds::DivisionOf(const Layout& layout) {
  const int few = static_cast<int>(
      std::min<int64_t>(MicroBatches(layout), 2 * layout.pipeline));
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto [it, added] = divisions_.try_emplace(
      {layout.schedule, layout.pipeline, layout.chunks, few}, nullptr);
  if (!added) return it->second;
  const auto make = [&]() -> absl::StatusOr<std::shared_ptr<const Division>> {
    Division made;
    EISBACH_ASSIGN_OR_RETURN(
        made.shape, train::ShapeOfStep(layout.schedule, layout.pipeline,
                                       layout.chunks, few));
    EISBACH_ASSIGN_OR_RETURN(
        made.parts, train::DivideLayers(config_.model, config_.layers_per_stage,
                                        made.shape));
    const int last = layout.pipeline - 1;
    for (const int stage : {0, last / 2, last}) {
      EISBACH_ASSIGN_OR_RETURN(
          made.orders[stage],
          parallel::OrderOfStage(layout.schedule, made.shape, stage));
    }
    return std::make_shared<const Division>(std::move(made));
  };
  it->second = make();
  return it->second;
}

double LayoutBounds::Moves(absl::string_view name, double bytes,
                           const Layout& layout) const {
  const GroupPlace place =
      PlaceOf(static_cast<int>(layout.copies()), layout.tensor, hardware_);
  return CollectiveSeconds(name, bytes, place, hardware_) -
         CollectiveSeconds(name, 0, place, hardware_);
}

void LayoutBounds::WaitForSums(PartCosts& part, double bucket,
                               const Layout& layout) const {
  const double travels = part.summed - kTravels * bucket;
  if (travels <= 0) return;
  const bool whole = part.input == part.backward;
  const double weights = whole ? part.backward : part.backward - part.input;
  const double longer =
      std::max(0.0, Moves("reduce_scatter", travels, layout) - weights);
  part.backward += longer;
  if (whole) part.input += longer;
}

std::vector<PartCosts> LayoutBounds::PartsOf(const Layout& layout,
                                             const Division& division,
                                             const ModelCosts& costs) const {
  const parallel::ScheduleShape& shape = division.shape;
  const bool all = layout.recompute_layers == kAllBlocks;
  std::vector<PartCosts> parts(division.parts.size());
  for (int s = 0; s < shape.stages; ++s) {
    // Counted on from chunk to chunk.
    int64_t recomputed = all ? config_.model.layers : layout.recompute_layers;
    for (int c = 0; c < shape.chunks; ++c) {
      const int part = parallel::PartAt(shape, {s, c});
      const parallel::LayerRange& layers = division.parts[part];
      parts[part] = costs.Of(config_.model, layers, recomputed);
      WaitForSums(parts[part], costs.bucket, layout);
      recomputed = std::max<int64_t>(0, recomputed - layers.size());
    }
  }
  return parts;
}

int64_t LayoutBounds::MostBlocks(const Layout& layout) {
  const auto division = DivisionOf(layout);
  if (!division.ok()) return 1;
  return train::MostBlocksOfAStage((*division)->parts, (*division)->shape);
}

std::optional<int64_t> LayoutBounds::FewestRecomputed(Layout layout,
                                                      int64_t most,
                                                      double bytes) {
  const int64_t all = MostBlocks(layout);
  const auto fits = [&](int64_t blocks) {
    layout.recompute_layers = blocks == all ? kAllBlocks : blocks;
    return Of(layout).memory <= bytes;
  };
  // All may take more than all but one: backward has the last one twice.
  int64_t enough = std::min(most, all - 1);
  if (enough < 1 || !fits(enough)) {
    if (most < all || !fits(all)) return std::nullopt;
    return all;
  }
  int64_t few = 0;
  while (enough - few > 1) {
    const int64_t middle = few + (enough - few) / 2;
    (fits(middle) ? enough : few) = middle;
  }
  return enough;
}

LayoutBounds::Least LayoutBounds::Of(const Layout& layout) {
  Least least;
  least.use.computing = Rough(layout).computing;
  const auto division = DivisionOf(layout);
  if (!division.ok()) return least;
  const parallel::ScheduleShape& shape = (*division)->shape;
  const auto recorded = costs_.On(layout, (*division)->orders.at(0));
  if (!recorded.ok()) return least;
  const std::vector<PartCosts> parts = PartsOf(layout, **division, *recorded);
  const double copies = static_cast<double>(layout.copies());
  const double count = static_cast<double>(MicroBatches(layout));
  PartCosts before;
  for (int s = 0; s < shape.stages; ++s) {
    std::vector<PartCosts> chunks;
    PartCosts all;
    for (int c = 0; c < shape.chunks; ++c) {
      chunks.push_back(parts[parallel::PartAt(shape, {s, c})]);
      all += chunks.back();
    }
    const int last_part = shape.stages * shape.chunks - 1;
    if (s == 0 && parallel::PlaceOf(shape, last_part).stage == 0) {
      all = all - recorded->shared;
    }
    const double gathers = Moves("all_gather", all.gathered, layout);
    least.use.seconds = std::max(
        {least.use.seconds, count * gathers,
         before.forward + count * (all.forward + all.backward),
         before.forward + count * (all.forward + all.input) + before.input});
    const double stays = all.weights / (layout.zero >= 3 ? copies : 1) +
                         all.gradients / (layout.zero >= 2 ? copies : 1) +
                         all.state / (layout.zero >= 1 ? copies : 1);
    const auto order = (*division)->orders.find(s);
    const double kept =
        order == (*division)->orders.end()
            ? 0
            : MostKept(order->second, chunks, recorded->working);
    least.memory = std::max(least.memory, stays + kept);
    before += parts[s];
  }
  least.use.seconds *= kRounding;
  least.memory *= layout.zero >= 3 ? kGathering : kRounding;
  return least;
}

}  // namespace eisbach::plan
