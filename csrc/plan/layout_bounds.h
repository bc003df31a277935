#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "parallel/pipeline/partition.h"
#include "parallel/pipeline/schedule.h"
#include "plan/block_costs.h"
#include "plan/hardware.h"
#include "plan/layout.h"
#include "plan/play.h"
#include "plan/run_cost.h"
#include "train/engine.h"

namespace eisbach::plan {

// What a layout takes at the least, known much sooner than what it takes: so a
// search need not look at most of them. Never above what ForecastStep says.
// From any thread.
class LayoutBounds {
 public:
  struct Least {
    StepUse use{};      // of a step
    double memory = 0;  // bytes of the rank that holds most
  };

  // They outlive it.
  LayoutBounds(const train::EngineConfig& config, const Hardware& hardware,
               const PlayOptions& play)
      : config_(config),
        hardware_(hardware),
        play_(play),
        costs_(config, hardware, play) {}

  // From the model's sizes: products at the rate of the largest, layers and
  // state divided evenly, the schedule's idle time, and what tensor ranks
  // exchange.
  StepUse Rough(const Layout& layout) const;

  // From what its blocks take (block_costs.h). Let stage s hold the parts that
  // the schedule gives it. Its first forward comes after those of the parts
  // before; then it is busy with all micro-batches; and of the last of them the
  // gradient goes back through those parts:
  //
  //   seconds >= sum of forwards before s + m (forward_s + backward_s)
  //              + sum of backwards before s
  //
  // the last sum where backwards are whole; where their weight halves may come
  // later it is that of input halves, and m counts input halves alone. Where
  // weights or gradients are divided, they travel as often. What a stage keeps
  // follows from its list. Zeros where such a model cannot be made.
  Least Of(const Layout& layout);

  // The fewest blocks of each stage, at least 1 and at most `most`, of which
  // layout.recompute must speak so that Of takes no more than so many bytes;
  // nothing where none are enough. `most` is at most MostBlocks: all of them.
  std::optional<int64_t> FewestRecomputed(Layout layout, int64_t most,
                                          double bytes);
  // Blocks of the stage that has most; 1 where such a model cannot be made.
  int64_t MostBlocks(const Layout& layout);

 private:
  // How a schedule divides the model, and what some stages do with few
  // micro-batches: the first, the middle one and the last.
  struct Division {
    parallel::ScheduleShape shape;
    std::vector<parallel::LayerRange> parts;
    std::map<int, parallel::ActionList> orders;  // by stage
  };

  absl::StatusOr<std::shared_ptr<const Division>> DivisionOf(
      const Layout& layout);
  // Seconds of what ranks that see other samples exchange, without latency.
  double Moves(absl::string_view name, double bytes,
               const Layout& layout) const;
  // Where a bucket's gradients are summed up as soon as they are there,
  // backward waits for all but the last few.
  void WaitForSums(PartCosts& part, double bucket, const Layout& layout) const;
  int64_t MicroBatches(const Layout& layout) const;
  // What each part of the model takes.
  std::vector<PartCosts> PartsOf(const Layout& layout, const Division& division,
                                 const ModelCosts& costs) const;

  const train::EngineConfig& config_;
  const Hardware& hardware_;
  const PlayOptions play_;
  BlockCosts costs_;
  std::mutex mutex_;
  // By schedule, stages, chunks and those few.
  std::map<std::tuple<std::string, int, int, int>,
           absl::StatusOr<std::shared_ptr<const Division>>>
      divisions_;
};

}  // namespace eisbach::plan
