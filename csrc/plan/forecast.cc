#include "plan/forecast.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "core/status_macros.h"
#include "parallel/pipeline/action.h"
#include "plan/collective_seconds.h"
#include "plan/expert_work.h"
#include "plan/layer_kind.h"
#include "plan/record.h"
#include "plan/regular_actions.h"
#include "train/stages.h"

namespace eisbach::plan {
namespace {

using parallel::Action;
using parallel::ActionKind;
using parallel::Schedule;

// Micro-batches of a record at the least: the first of a step differs from the
// others.
constexpr int64_t kRecorded = 2;

std::set<ActionOf> KindsIn(const parallel::ActionList& list) {
  std::set<ActionOf> kinds;
  for (const Action& action : list) {
    kinds.emplace(Letter(action.kind), action.chunk);
  }
  return kinds;
}

// Whether a stage does everything with `few` micro-batches that it does with
// `all`, if not as often.
bool DoesAll(const Schedule& few, const Schedule& all) {
  for (size_t stage = 0; stage < all.stages.size(); ++stage) {
    if (KindsIn(few.stages[stage]) != KindsIn(all.stages[stage])) return false;
  }
  return true;
}

// Bytes more that are in use after an action than before it. What a forward
// keeps its backward gives back, to the byte, or both halves do together: what
// else lay between one and the other when they were recorded is not theirs.
int64_t LeftBy(ActionOf kind, const std::map<ActionOf, ActionMemory>& regular) {
  const int chunk = kind.second;
  const auto recorded = [&](ActionKind of) {
    const auto it = regular.find({Letter(of), chunk});
    return it == regular.end() ? 0 : it->second.after - it->second.before;
  };
  if (kind.first == Letter(ActionKind::kBackward)) {
    return -recorded(ActionKind::kForward);
  }
  if (kind.first == Letter(ActionKind::kBackwardWeight)) {
    return -recorded(ActionKind::kForward) -
           recorded(ActionKind::kBackwardInput);
  }
  return regular.at(kind).after - regular.at(kind).before;
}

// The most that a stage holds at a time when it goes through its list.
// `travels`: bytes that one transfer between stages moves.
int64_t MostMemory(const WorkRecord& record, const parallel::ActionList& list,
                   int64_t travels) {
  const auto regular = RegularActions(record.memory);
  int64_t now = -1, most = 0;
  // What was recorded was there, sums and the update too.
  for (const ActionMemory& entry : record.memory) {
    if (now < 0 && entry.action.letter != 0) now = entry.before;
    most = std::max(most, entry.most);
  }
  for (const Action& action : list) {
    if (action.kind == ActionKind::kExchange) {
      // What arrives has its memory before what was sent gives its own back.
      int64_t sent = 0;
      for (const parallel::StageTransfer& transfer : action.transfers) {
        const bool send = transfer.direction == parallel::Direction::kSend;
        (send ? sent : now) += travels;
      }
      most = std::max(most, now);
      now -= sent;
      continue;
    }
    const auto it = regular.find({Letter(action.kind), action.chunk});
    if (it == regular.end()) continue;
    most = std::max(most, now + it->second.most - it->second.before);
    now += LeftBy(it->first, regular);
  }
  return most;
}

// Of a list, the most chunks of micro-batches that are forward but not
// backward.
int MostInFlight(const parallel::ActionList& list) {
  int now = 0, most = 0;
  for (const Action& action : list) {
    if (action.kind == ActionKind::kForward) most = std::max(most, ++now);
    if (action.kind == ActionKind::kBackward ||
        action.kind == ActionKind::kBackwardWeight) {
      --now;
    }
  }
  return most;
}

constexpr LayerKind kEndOfChunk = {.window = -1};

// Of a chunk's times, that of an action; null: it is none that is timed.
double* SecondsOf(char letter, parallel::StageTimes& times) {
  if (letter == Letter(ActionKind::kForward)) return &times.forward;
  if (letter == Letter(ActionKind::kBackward)) return &times.backward;
  if (letter == Letter(ActionKind::kBackwardInput)) {
    return &times.backward_input;
  }
  if (letter == Letter(ActionKind::kBackwardWeight)) {
    return &times.backward_weight;
  }
  return nullptr;
}

// All but the memory. `list`: the stage's, of as many micro-batches as were
// recorded.
StageForecast FromPlayed(const Played& played, const parallel::ActionList& list,
                         int64_t recorded, int64_t micro_batches, int chunks) {
  const double step =
      played.step_ends.at(1) - played.step_ends.at(0);  // of `recorded`
  const double count = static_cast<double>(micro_batches);
  const double few = static_cast<double>(recorded);
  StageForecast stage;
  stage.chunks.resize(chunks);
  std::map<ActionOf, double> times;  // that a micro-batch has it, on average
  for (const Action& action : list) {
    times[{Letter(action.kind), action.chunk}] += 1 / few;
  }
  Busy each;
  for (const auto& [kind, action] : RegularActions(LastActions(played))) {
    const auto [letter, chunk] = kind;
    double* seconds = SecondsOf(letter, stage.chunks[chunk]);
    if (seconds == nullptr) continue;
    *seconds += action.seconds;
    const bool forward = letter == Letter(ActionKind::kForward);
    (forward ? stage.forward : stage.backward) += action.seconds * times[kind];
    each += action.busy * times[kind];
  }
  stage.once = std::max(0.0, step - few * (stage.forward + stage.backward));
  stage.busy = played.busy;
  stage.busy += each * (count - few);
  stage.flops = played.flops * count / few;
  return stage;
}

double TransferSeconds(int64_t bytes, const parallel::Mesh& mesh,
                       const Hardware& hardware) {
  const int stages = mesh.size(Axis::kPipeline);
  if (stages == 1) return 0;
  return CollectiveSeconds("exchange", static_cast<double>(bytes),
                           PlaceOf("pipeline", stages, mesh, hardware),
                           hardware);
}

}  // namespace

int64_t Forecast::memory() const {
  int64_t most = 0;
  for (const StageForecast& stage : stages) {
    most = std::max(most, stage.memory);
  }
  return most;
}

Busy Forecast::busy() const {
  Busy sum;
  for (const StageForecast& stage : stages) sum += stage.busy;
  return sum * (1.0 / static_cast<double>(stages.size()));
}

absl::StatusOr<int64_t> TransferBytes(const train::EngineConfig& config,
                                      const parallel::Mesh& mesh) {
  EISBACH_ASSIGN_OR_RETURN(
      const bool divided,
      parallel::DividesTokens(config.sequence, config.Tokens(mesh)));
  const auto size = static_cast<int64_t>(SizeOf(config.update.compute_dtype));
  return config.micro_batch * config.model.context * config.model.hidden *
         size / mesh.size(Axis::kContext) /
         (divided ? mesh.size(Axis::kTensor) : 1);
}

absl::StatusOr<RecordedStep> RecordedStep::Make(
    const train::EngineConfig& config, const parallel::Mesh& mesh,
    DeviceType device, const Experts& experts, const Look& look) {
  EISBACH_RETURN_IF_ERROR(train::Engine::Validate(config, mesh));
  EISBACH_RETURN_IF_ERROR(Check(experts, mesh));
  const int stages = mesh.size(Axis::kPipeline);
  const int64_t samples = config.micro_batch * mesh.size(Axis::kData);
  RecordedStep made(config, mesh);
  made.micro_batches_ = config.global_batch / samples;
  EISBACH_RETURN_IF_ERROR(made.MakeSchedules());
  EISBACH_ASSIGN_OR_RETURN(made.recorded_schedule_, made.FewestThatShowAll());
  EISBACH_ASSIGN_OR_RETURN(made.travels_, TransferBytes(config, mesh));
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<parallel::LayerRange> parts,
      train::DivideLayers(config.model, config.layers_per_stage,
                          made.schedules_[0].shape));
  train::EngineConfig few = config;
  few.global_batch = made.recorded() * samples;
  // Stages of like layers that are no end of the model and do the same are
  // alike.
  std::map<std::tuple<bool, bool, std::vector<LayerKind>, std::set<ActionOf>>,
           int>
      kinds;
  for (int s = 0; s < stages; ++s) {
    std::vector<LayerKind> layers;
    for (const models::StageLayers& chunk :
         train::ChunksOfStage(parts, made.schedules_[0].shape, s)) {
      for (int64_t l = chunk.first_layer; l < chunk.end_layer; ++l) {
        layers.push_back(KindOfLayer(config.model, l));
      }
      layers.push_back(kEndOfChunk);
    }
    const auto [kind, added] =
        kinds.try_emplace({s == 0, s == stages - 1, std::move(layers),
                           KindsIn(made.schedules_.back().stages[s])},
                          static_cast<int>(made.records_.size()));
    made.record_of_.push_back(kind->second);
    if (!added) continue;
    parallel::Coordinates place;
    place[Axis::kPipeline] = s;
    EISBACH_ASSIGN_OR_RETURN(
        WorkRecord record, RecordSteps(few, mesh, mesh.RankOf(place), device));
    if (experts.any()) {
      EISBACH_ASSIGN_OR_RETURN(record, WithExperts(record, few, mesh, experts));
    }
    made.records_.push_back(std::move(record));
    if (look) EISBACH_RETURN_IF_ERROR(look(made, s));
  }
  return made;
}

absl::StatusOr<Schedule> RecordedStep::ScheduleOf(int64_t micro_batches) const {
  return train::MakeStepSchedule(
      config_.pipeline_schedule, mesh_.size(Axis::kPipeline), config_.chunks,
      static_cast<int>(micro_batches), config_.deferred_weights);
}

absl::Status RecordedStep::MakeSchedules() {
  const int stages = mesh_.size(Axis::kPipeline);
  EISBACH_ASSIGN_OR_RETURN(
      const parallel::ScheduleShape shape,
      train::ShapeOfStep(config_.pipeline_schedule, stages, config_.chunks,
                         /*micro_batches=*/1));
  // A V is filled from both ends before a step grows evenly.
  const int64_t fill = shape.placement == parallel::Placement::kV ? 4 : 2;
  const int64_t few = fill * stages + micro_batches_ % stages;
  std::vector<int64_t> counts = {micro_batches_};
  if (micro_batches_ > few + stages) counts = {few, few + stages};
  for (const int64_t count : counts) {
    EISBACH_ASSIGN_OR_RETURN(Schedule schedule, ScheduleOf(count));
    schedules_.push_back(std::move(schedule));
  }
  return absl::OkStatus();
}

absl::StatusOr<Schedule> RecordedStep::FewestThatShowAll() const {
  const Schedule& all = schedules_.back();
  int64_t count = std::min<int64_t>(kRecorded, all.shape.microbatches);
  while (true) {
    EISBACH_ASSIGN_OR_RETURN(Schedule few, ScheduleOf(count));
    if (DoesAll(few, all)) return few;
    ++count;
  }
}

absl::StatusOr<double> RecordedStep::PipelineSeconds(
    const parallel::SimulationTimes& times) const {
  std::vector<double> seconds;
  for (const Schedule& schedule : schedules_) {
    EISBACH_ASSIGN_OR_RETURN(const parallel::Simulation simulation,
                             parallel::Simulate(schedule, times));
    seconds.push_back(simulation.seconds);
  }
  return OfAll(seconds);
}

double RecordedStep::OfAll(absl::Span<const double> of_schedules) const {
  if (of_schedules.size() == 1) return of_schedules[0];
  const double more =
      static_cast<double>(micro_batches_ - schedules_[1].shape.microbatches) /
      schedules_[1].shape.stages;
  return of_schedules[1] + more * (of_schedules[1] - of_schedules[0]);
}

StageForecast RecordedStep::OfRecord(int record, const Hardware& hardware,
                                     const PlayOptions& options) const {
  const auto stage = std::find(record_of_.begin(), record_of_.end(), record);
  return FromPlayed(Play(records_[record], mesh_, hardware, options),
                    recorded_schedule_.stages[stage - record_of_.begin()],
                    recorded(), micro_batches_, schedules_[0].shape.chunks);
}

int64_t RecordedStep::MemoryOf(int stage) const {
  const auto bytes = [&](const Schedule& schedule) {
    return MostMemory(records_[record_of_[stage]], schedule.stages[stage],
                      travels_);
  };
  const Schedule& few = schedules_.front();
  const Schedule& more = schedules_.back();
  // Where few micro-batches do not come to a bound, memory grows with each.
  if (MostInFlight(few.stages[stage]) == MostInFlight(more.stages[stage])) {
    return bytes(more);
  }
  return std::llround(OfAll(
      {static_cast<double>(bytes(few)), static_cast<double>(bytes(more))}));
}

absl::StatusOr<Forecast> RecordedStep::On(const Hardware& hardware,
                                          const PlayOptions& options) const {
  EISBACH_RETURN_IF_ERROR(Check(hardware));
  std::vector<StageForecast> kinds;
  for (size_t record = 0; record < records_.size(); ++record) {
    kinds.push_back(OfRecord(static_cast<int>(record), hardware, options));
  }
  return Together(kinds, hardware);
}

absl::StatusOr<Forecast> RecordedStep::Together(
    absl::Span<const StageForecast> kinds, const Hardware& hardware) const {
  Forecast forecast;
  forecast.micro_batches = micro_batches_;
  parallel::SimulationTimes times{};
  times.transfer = TransferSeconds(travels_, mesh_, hardware);
  const int stages = schedules_[0].shape.stages;
  double once = 0;
  for (int s = 0; s < stages; ++s) {
    StageForecast stage = kinds[record_of_[s]];
    // What is in flight depends on where the stage stands.
    stage.memory = MemoryOf(s);
    times.stages.insert(times.stages.end(), stage.chunks.begin(),
                        stage.chunks.end());
    once = std::max(once, stage.once);
    forecast.flops += stage.flops / stages;
    forecast.stages.push_back(std::move(stage));
  }
  EISBACH_ASSIGN_OR_RETURN(const double pipeline, PipelineSeconds(times));
  double busy = 0;
  for (const StageForecast& stage : forecast.stages) {
    busy += (stage.forward + stage.backward) *
            static_cast<double>(micro_batches_) / stages;
  }
  forecast.seconds = pipeline + once + hardware.step_host;
  forecast.bubble = (pipeline - busy) / forecast.seconds;
  forecast.tokens_per_second = static_cast<double>(config_.global_batch) *
                               static_cast<double>(config_.model.context) /
                               forecast.seconds;
  forecast.times = std::move(times);
  return forecast;
}

StageForecast RecordedStep::StageOn(int stage, const Hardware& hardware,
                                    const PlayOptions& options) const {
  StageForecast forecast = OfRecord(record_of_[stage], hardware, options);
  forecast.memory = MemoryOf(stage);
  return forecast;
}

absl::StatusOr<Forecast> ForecastWithin(const StepLimits& limits,
                                        const train::EngineConfig& config,
                                        const parallel::Mesh& mesh,
                                        const Hardware& hardware,
                                        const PlayOptions& options,
                                        int64_t* most_memory) {
  EISBACH_RETURN_IF_ERROR(Check(hardware));
  const double micro_batches =
      static_cast<double>(config.global_batch) /
      static_cast<double>(config.micro_batch * mesh.size(Axis::kData));
  std::vector<StageForecast> kinds;
  const auto look = [&](const RecordedStep& step, int stage) -> absl::Status {
    const StageForecast& one =
        kinds.emplace_back(step.StageOn(stage, hardware, options));
    if (most_memory != nullptr) {
      *most_memory = std::max(*most_memory, one.memory);
    }
    if (micro_batches * (one.forward + one.backward) > limits.seconds) {
      return absl::DeadlineExceededError("a stage takes longer");
    }
    if (static_cast<double>(one.memory) > limits.memory) {
      return absl::ResourceExhaustedError("a stage takes more memory");
    }
    return absl::OkStatus();
  };
  EISBACH_ASSIGN_OR_RETURN(
      const RecordedStep step,
      RecordedStep::Make(config, mesh, hardware.device, options.experts, look));
  return step.Together(kinds, hardware);
}

absl::StatusOr<Forecast> ForecastStep(const train::EngineConfig& config,
                                      const parallel::Mesh& mesh,
                                      const Hardware& hardware,
                                      const PlayOptions& options) {
  EISBACH_ASSIGN_OR_RETURN(
      const RecordedStep step,
      RecordedStep::Make(config, mesh, hardware.device, options.experts));
  return step.On(hardware, options);
}

}  // namespace eisbach::plan
