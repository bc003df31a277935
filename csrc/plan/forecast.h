#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "parallel/mesh.h"
#include "parallel/pipeline/schedule.h"
#include "parallel/pipeline/simulate.h"
#include "plan/hardware.h"
#include "plan/play.h"
#include "plan/record.h"
#include "train/engine.h"

namespace eisbach::plan {

// What a step takes of the devices of one pipeline stage.
struct StageForecast {
  double forward = 0;   // seconds of a micro-batch, all of the stage's chunks
  double backward = 0;  // both halves, recomputing included
  std::vector<parallel::StageTimes> chunks;  // of each chunk, the same
  double once = 0;  // beside the micro-batches: sums, norm, update, gathers
  // Of the step, by what the seconds go to, without those in which it waits for
  // other stages.
  Busy busy{};
  double flops = 0;    // that the device is given in the step
  int64_t memory = 0;  // bytes of tensors at the most
};

struct Forecast {
  double seconds = 0;  // of a step
  // Share of the stages' time in which they wait for one another.
  double bubble = 0;
  double tokens_per_second = 0;  // of all devices
  // Floating-point operations that a device is given in a step, on average;
  // what is recomputed counts again.
  double flops = 0;
  int64_t micro_batches = 0;
  std::vector<StageForecast> stages;
  // With which the schedule was simulated.
  parallel::SimulationTimes times{};

  int64_t memory() const;  // most of any stage
  Busy busy() const;       // mean of the stages
};

// What the devices of a layout are given in a step, to be played on machines.
//
// The real Engine of a rank of each stage that differs from the others runs on
// meta with as few micro-batches as show all that the stage does (record.h);
// what it was given is played on the machine (play.h), and the schedule of all
// micro-batches is simulated with what a forward and a backward took
// (parallel/pipeline/simulate.h). What is done once a step is added to the
// slowest stage's.
class RecordedStep {
 public:
  // Looks at a step whose last record is that of `stage`; what it returns ends
  // the making where it is no Ok.
  using Look = std::function<absl::Status(const RecordedStep& step, int stage)>;

  // `device`: see RecordSteps. With `experts` in place of the MLPs of
  // `config`, which is DenseOf them. InvalidArgument as Engine::Validate and
  // Check of experts.
  static absl::StatusOr<RecordedStep> Make(
      const train::EngineConfig& config, const parallel::Mesh& mesh,
      DeviceType device = DeviceType::kMeta, const Experts& experts = {},
      const Look& look = nullptr);

  // What a stage that is recorded takes of its devices.
  StageForecast StageOn(int stage, const Hardware& hardware,
                        const PlayOptions& options) const;

  // InvalidArgument as Check of the hardware.
  absl::StatusOr<Forecast> On(const Hardware& hardware,
                              const PlayOptions& options) const;
  // The same of what StageOn said of the stages that are recorded, in their
  // order, so that nothing is played twice.
  absl::StatusOr<Forecast> Together(absl::Span<const StageForecast> kinds,
                                    const Hardware& hardware) const;

  const parallel::Mesh& mesh() const { return mesh_; }
  int64_t micro_batches() const { return micro_batches_; }
  // Micro-batches of the records.
  int64_t recorded() const { return recorded_schedule_.shape.microbatches; }
  const std::vector<WorkRecord>& records() const { return records_; }
  // Which of them a stage has.
  int record_of(int stage) const { return record_of_[stage]; }
  // Of all micro-batches, or of the fewest that were simulated.
  const parallel::Schedule& schedule() const { return schedules_.front(); }

 private:
  RecordedStep(const train::EngineConfig& config, const parallel::Mesh& mesh)
      : config_(config), mesh_(mesh) {}

  train::EngineConfig config_;
  parallel::Mesh mesh_;
  absl::StatusOr<parallel::Schedule> ScheduleOf(int64_t micro_batches) const;
  absl::Status MakeSchedules();
  absl::StatusOr<parallel::Schedule> FewestThatShowAll() const;
  // All of what a record's stages take but their memory.
  StageForecast OfRecord(int record, const Hardware& hardware,
                         const PlayOptions& options) const;
  int64_t MemoryOf(int stage) const;
  // Of all micro-batches, whose times the stages take.
  absl::StatusOr<double> PipelineSeconds(
      const parallel::SimulationTimes& times) const;

  // What grows evenly with the micro-batches, from what each of schedules_ has.
  double OfAll(absl::Span<const double> of_schedules) const;

  // Of all micro-batches, or, where they are many, of few and of as many more
  // as there are stages: from there on a step grows evenly.
  std::vector<parallel::Schedule> schedules_;
  int64_t micro_batches_ = 0;
  parallel::Schedule recorded_schedule_;
  int64_t travels_ = 0;              // TransferBytes
  std::vector<WorkRecord> records_;  // of stages that differ
  std::vector<int> record_of_;       // a stage: which of them
};

// What one transfer between stages moves. InvalidArgument as Engine::Validate.
absl::StatusOr<int64_t> TransferBytes(const train::EngineConfig& config,
                                      const parallel::Mesh& mesh);

// What a step may take.
struct StepLimits {
  double seconds = std::numeric_limits<double>::infinity();
  double memory = std::numeric_limits<double>::infinity();  // bytes of a stage
};

// ForecastStep of a step within limits. DeadlineExceeded, or ResourceExhausted
// of memory, as soon as a stage by itself is beyond them, which saves the rest;
// `most_memory` is told what the stages take that were looked at.
absl::StatusOr<Forecast> ForecastWithin(const StepLimits& limits,
                                        const train::EngineConfig& config,
                                        const parallel::Mesh& mesh,
                                        const Hardware& hardware,
                                        const PlayOptions& options,
                                        int64_t* most_memory = nullptr);

// Both at once, with options.experts.
absl::StatusOr<Forecast> ForecastStep(const train::EngineConfig& config,
                                      const parallel::Mesh& mesh,
                                      const Hardware& hardware,
                                      const PlayOptions& options);

}  // namespace eisbach::plan
