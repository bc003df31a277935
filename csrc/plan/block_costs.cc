#include "plan/block_costs.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "core/status_macros.h"
#include "plan/estimate.h"
#include "plan/expert_work.h"
#include "plan/forecast.h"
#include "plan/record.h"
#include "plan/regular_actions.h"

namespace eisbach::plan {
namespace {

using parallel::ActionKind;

constexpr double PartCosts::*kSummed[] = {
    &PartCosts::forward,  &PartCosts::backward,  &PartCosts::input,
    &PartCosts::kept,     &PartCosts::held,      &PartCosts::head,
    &PartCosts::weights,  &PartCosts::gradients, &PartCosts::state,
    &PartCosts::gathered, &PartCosts::summed};

struct ActionSeconds {
  ActionMark action;
  double seconds = 0;
};

// Of the compute stream, in the last step that was recorded.
std::vector<ActionSeconds> LeastOfActions(const WorkRecord& record,
                                          const parallel::Mesh& mesh,
                                          const Hardware& hardware,
                                          const PlayOptions& play) {
  std::vector<ActionSeconds> actions;
  ActionSeconds now;
  bool earlier = true;
  for (const Work& work : record.work) {
    if (work.kind == Work::Kind::kStepEnd) {
      if (earlier) actions.clear();
      earlier = false;
    } else if (work.kind == Work::Kind::kAction) {
      if (now.action.letter != 0) actions.push_back(now);
      now = {.action = work.action};
    } else if (work.stream == 0 &&
               (work.kind == Work::Kind::kOp ||
                (work.kind == Work::Kind::kCollective &&
                 (record.group(work) == "tensor" ||
                  record.group(work) == "experts" ||
                  absl::StartsWith(record.group(work), "context"))))) {
      now.seconds += SecondsAlone(record, work, mesh, hardware, play);
    }
  }
  return actions;
}

PartCosts TimesOf(const WorkRecord& record, const parallel::Mesh& mesh,
                  const Hardware& hardware, const PlayOptions& play) {
  PartCosts costs;
  for (const auto& [kind, action] :
       RegularActions(LeastOfActions(record, mesh, hardware, play))) {
    const char letter = kind.first;
    if (letter == Letter(ActionKind::kForward)) {
      costs.forward += action.seconds;
    } else if (letter == Letter(ActionKind::kBackward) ||
               letter == Letter(ActionKind::kBackwardInput)) {
      costs.backward += action.seconds;
      costs.input += action.seconds;
    } else if (letter == Letter(ActionKind::kBackwardWeight)) {
      costs.backward += action.seconds;
    }
  }
  for (const auto& [kind, entry] : RegularActions(record.memory)) {
    const auto more = static_cast<double>(entry.after - entry.before);
    const char letter = kind.first;
    if (letter == Letter(ActionKind::kForward)) {
      costs.kept = more;
      costs.held += more;
    } else if (letter == Letter(ActionKind::kBackward) ||
               letter == Letter(ActionKind::kBackwardInput)) {
      costs.held += more;
      costs.working = static_cast<double>(entry.most - entry.before);
    }
  }
  return costs;
}

// Of a micro-batch of two, in the last step that was recorded.
PartCosts TrafficOf(const WorkRecord& record, int zero) {
  PartCosts costs;
  bool earlier = true;
  for (const Work& work : record.work) {
    if (work.kind == Work::Kind::kStepEnd) earlier = false;
    if (earlier || work.kind != Work::Kind::kCollective) continue;
    if (!absl::StartsWith(record.group(work), "data")) continue;
    const double bytes = work.collective.bytes;
    // Before zero 3 weights are gathered once a step, not in micro-batches.
    if (zero == 3 && record.name(work) == "all_gather") {
      costs.gathered += bytes / 2;
    } else if (record.name(work) == "reduce_scatter") {
      costs.summed += bytes / 2;
      costs.bucket = std::max(costs.bucket, bytes);
    }
  }
  return costs;
}

absl::StatusOr<PartCosts> StateOf(const train::EngineConfig& config,
                                  const parallel::Mesh& mesh, int rank) {
  EISBACH_ASSIGN_OR_RETURN(const RankMemory memory,
                           EstimateState(config, mesh, rank));
  PartCosts costs;
  costs.weights = static_cast<double>(memory.weights);
  costs.gradients = static_cast<double>(memory.gradients);
  costs.state = static_cast<double>(memory.masters + memory.optimizer);
  return costs;
}

// A model of as few blocks as its stages need, all of a kind.
models::ModelConfig Small(models::ModelConfig model, int layers,
                          const LayerKind& kind) {
  models::Architecture& a = model.architecture;
  model.layers = layers;
  a.window = kind.window;
  a.window_from = a.window_full_every = 0;
  if (kind.window == 0) a.window_rope_theta = 0;
  a.no_rope_every = a.rotary && !kind.rotates ? 1 : 0;
  return model;
}

PartCosts Least(PartCosts a, const PartCosts& b) {
  for (double PartCosts::*field : kSummed) {
    a.*field = std::min(a.*field, b.*field);
  }
  return a;
}

ModelCosts Least(const ModelCosts& a, const ModelCosts& b) {
  ModelCosts least;
  least.each = Least(a.each, b.each);
  least.first = Least(a.first, b.first);
  least.last = Least(a.last, b.last);
  least.working = std::min(a.working, b.working);
  for (const auto& [kind, costs] : a.blocks) {
    least.blocks[kind] = Least(costs, b.blocks.at(kind));
  }
  return least;
}

// Of a model some of whose blocks are recomputed. What parts have beside their
// blocks is that of either kind.
ModelCosts Mixed(const ModelCosts& recomputed, const ModelCosts& plain) {
  ModelCosts mixed = Least(recomputed, plain);
  mixed.blocks = recomputed.blocks;
  mixed.plain = plain.blocks;
  return mixed;
}

}  // namespace

PartCosts& PartCosts::operator+=(const PartCosts& other) {
  for (double PartCosts::*field : kSummed) this->*field += other.*field;
  return *this;
}

PartCosts operator+(PartCosts costs, const PartCosts& other) {
  return costs += other;
}

PartCosts operator*(const PartCosts& costs, double factor) {
  PartCosts product = costs;
  for (double PartCosts::*field : kSummed) product.*field *= factor;
  return product;
}

PartCosts operator-(PartCosts costs, const PartCosts& other) {
  costs += other * -1;
  return costs;
}

ModelCosts& ModelCosts::operator+=(const ModelCosts& other) {
  each += other.each;
  first += other.first;
  last += other.last;
  shared += other.shared;
  for (const auto& [kind, costs] : other.blocks) {
    blocks[kind] += costs;
    if (const auto it = plain.find(kind); it != plain.end()) {
      it->second += costs;
    }
  }
  working = std::max(working, other.working);
  bucket = std::max(bucket, other.bucket);
  return *this;
}

PartCosts ModelCosts::Of(const models::ModelConfig& model,
                         const parallel::LayerRange& layers,
                         int64_t recomputed) const {
  PartCosts costs = each;
  if (layers.begin == 0) costs += first;
  if (layers.end == model.layers) costs += last;
  const auto other = plain.empty()
                         ? layers.end
                         : static_cast<int>(std::min<int64_t>(
                               layers.begin + recomputed, layers.end));
  const auto add = [&](const std::map<LayerKind, PartCosts>& kinds, int begin,
                       int end) {
    if (kinds.size() == 1) {
      costs += kinds.begin()->second * (end - begin);
      return;
    }
    for (int layer = begin; layer < end; ++layer) {
      costs += kinds.at(KindOfLayer(model, layer));
    }
  };
  add(blocks, layers.begin, other);
  if (other < layers.end) add(plain, other, layers.end);
  return costs;
}

absl::StatusOr<ModelCosts> BlockCosts::On(const Layout& layout,
                                          const parallel::ActionList& order) {
  const auto has = [&](ActionKind kind) {
    return std::any_of(
        order.begin(), order.end(),
        [&](const parallel::Action& a) { return a.kind == kind; });
  };
  const bool whole = has(ActionKind::kBackward);
  Question times{What::kTimes, layout};
  times.layout.data = std::min(layout.data, 2);
  // Blocks take as much, whether ranks divide the optimizer's state or nothing.
  times.layout.zero = layout.copies() > 1 ? 1 : 0;
  times.layout.recompute_layers = kAllBlocks;
  times.single = config_.global_batch == layout.micro_batch * layout.data;
  const auto known = [&]() -> absl::StatusOr<ModelCosts> {
    times.layout.schedule = whole ? "1f1b" : "zero_bubble";
    EISBACH_ASSIGN_OR_RETURN(ModelCosts costs, Known(times));
    if (!whole || !has(ActionKind::kBackwardInput)) return costs;
    times.layout.schedule = "zero_bubble";
    EISBACH_ASSIGN_OR_RETURN(const ModelCosts halves, Known(times));
    return Least(costs, halves);
  };
  EISBACH_ASSIGN_OR_RETURN(ModelCosts costs, known());
  if (layout.recompute_layers != kAllBlocks) {
    times.layout.recompute = nn::Recompute::kNothing;
    EISBACH_ASSIGN_OR_RETURN(const ModelCosts plain, known());
    costs = Mixed(costs, plain);
  }
  // What stays is that of whole copies, which ranks divide evenly at best.
  EISBACH_ASSIGN_OR_RETURN(
      ModelCosts state,
      Known({What::kState, {.tensor = layout.tensor}, /*single=*/true}));
  if (play_.experts.any()) {
    EISBACH_ASSIGN_OR_RETURN(const PartCosts more, StateOfExperts(layout));
    for (auto& [kind, block] : state.blocks) block += more;
  }
  costs += state;
  if (layout.zero >= 2 && config_.update.zero.group == 0) {
    EISBACH_ASSIGN_OR_RETURN(
        ModelCosts traffic,
        Known({What::kTraffic,
               {.data = 2, .tensor = layout.tensor, .zero = layout.zero}}));
    if (play_.experts.any()) {
      // What is no expert's travels among these ranks.
      const double recorded =
          WeightsOf(config_, play_.experts, layout.tensor).recorded;
      const double all =
          static_cast<double>(models::MatrixWeightsOfLayer(config_.model)) /
          layout.tensor;
      for (auto& [kind, block] : traffic.blocks) {
        block.gathered *= 1 - recorded / all;
        block.summed *= 1 - recorded / all;
      }
    }
    costs += traffic;
  }
  return costs;
}

absl::StatusOr<PartCosts> BlockCosts::StateOfExperts(const Layout& layout) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!weight_) weight_ = BytesOfWeight(WithLayout(config_, layout));
  }
  EISBACH_RETURN_IF_ERROR(weight_->status());
  const RankMemory& bytes = **weight_;
  const Experts divided = WithLayout(play_.experts, layout);
  const ExpertWeights weights = WeightsOf(config_, divided, layout.tensor);
  // Copies divide what is no expert's; experts, so many times fewer ranks.
  const auto more = [&](int least) {
    const bool divides = layout.zero >= least && layout.copies() > 1;
    return weights.dense - weights.recorded +
           weights.experts *
               (divides ? 1.0 * divided.ranks / layout.tensor : 1);
  };
  PartCosts costs;
  costs.weights = more(3) * static_cast<double>(bytes.weights);
  costs.gradients = more(2) * static_cast<double>(bytes.gradients);
  costs.state = more(1) * static_cast<double>(bytes.masters + bytes.optimizer);
  return costs;
}

absl::StatusOr<ModelCosts> BlockCosts::Known(const Question& question) {
  const Layout& layout = question.layout;
  const Key key{question.what,    layout.data,   layout.tensor,
                layout.context,   layout.expert, layout.micro_batch,
                layout.recompute, layout.zero,   layout.schedule,
                question.single};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const auto it = known_.find(key); it != known_.end()) return it->second;
  }
  absl::StatusOr<ModelCosts> costs = Record(question);
  const std::lock_guard<std::mutex> lock(mutex_);
  return known_.try_emplace(key, std::move(costs)).first->second;
}

absl::StatusOr<ModelCosts> BlockCosts::Record(const Question& question) const {
  std::set<LayerKind> kinds;
  for (int64_t layer = 0; layer < config_.model.layers; ++layer) {
    kinds.insert(KindOfLayer(config_.model, layer));
  }
  ModelCosts costs;
  PartCosts one;
  for (const LayerKind& kind : kinds) {
    EISBACH_ASSIGN_OR_RETURN(one, Stage(question, 1, 1, kind));
    EISBACH_ASSIGN_OR_RETURN(const PartCosts two, Stage(question, 1, 2, kind));
    costs.blocks[kind] = two - one;
  }
  const auto& [kind, block] = *costs.blocks.rbegin();
  EISBACH_ASSIGN_OR_RETURN(const PartCosts first, Stage(question, 0, 1, kind));
  EISBACH_ASSIGN_OR_RETURN(const PartCosts last, Stage(question, 2, 1, kind));
  costs.each = one - block;
  costs.first = first - one;
  costs.last = last - one;
  costs.working = one.working;
  costs.bucket = std::max({first.bucket, one.bucket, last.bucket});
  if (question.what == What::kState) {
    EISBACH_ASSIGN_OR_RETURN(const PartCosts alone,
                             StateOfOne(question.layout, kind));
    const PartCosts together = costs.each + costs.first + costs.last + block;
    costs.shared = together - Least(together, alone);
  }
  if (question.what != What::kTimes) return costs;
  // A part keeps its input, which comes before its forward, and does not keep
  // its output, which goes behind it: of the first and the last, one of them.
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh, MeshOf(question.layout));
  EISBACH_ASSIGN_OR_RETURN(
      const int64_t bytes,
      TransferBytes(WithLayout(config_, question.layout), mesh));
  const auto travels = static_cast<double>(bytes);
  costs.first.kept -= travels;
  costs.last.kept += travels;
  costs.last.head = std::max(0.0, costs.last.kept);
  return costs;
}

absl::StatusOr<PartCosts> BlockCosts::StateOfOne(Layout layout,
                                                 const LayerKind& kind) const {
  layout.pipeline = layout.chunks = 1;
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh, MeshOf(layout));
  train::EngineConfig config = WithLayout(config_, layout, mesh, hardware_);
  config.model = Small(config.model, 1, kind);
  config.layers_per_stage.clear();
  config.global_batch = layout.micro_batch * layout.data;
  return StateOf(config, mesh, /*rank=*/0);
}

absl::StatusOr<PartCosts> BlockCosts::Stage(const Question& question, int stage,
                                            int middle,
                                            const LayerKind& kind) const {
  Layout layout = question.layout;
  layout.pipeline = 3;
  layout.chunks = 1;
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh, MeshOf(layout));
  train::EngineConfig config = WithLayout(config_, layout, mesh, hardware_);
  config.model = Small(config.model, middle + 2, kind);
  config.layers_per_stage = {1, middle, 1};
  config.global_batch =
      layout.micro_batch * layout.data * (question.single ? 1 : 2);
  parallel::Coordinates place;
  place[Axis::kPipeline] = stage;
  const int rank = mesh.RankOf(place);
  if (question.what == What::kState) return StateOf(config, mesh, rank);
  EISBACH_ASSIGN_OR_RETURN(WorkRecord record,
                           RecordSteps(config, mesh, rank, hardware_.device));
  if (play_.experts.any() && question.what == What::kTimes) {
    EISBACH_ASSIGN_OR_RETURN(
        record,
        WithExperts(record, config, mesh, WithLayout(play_.experts, layout)));
  }
  return question.what == What::kTraffic
             ? TrafficOf(record, layout.zero)
             : TimesOf(record, mesh, hardware_, play_);
}

}  // namespace eisbach::plan
