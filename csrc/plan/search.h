#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nn/module.h"
#include "plan/forecast.h"
#include "plan/hardware.h"
#include "plan/ranking.h"
#include "train/engine.h"

namespace eisbach::plan {

// How a job is divided among devices, and what it does to fit them.
struct Layout {
  int data = 1;
  int tensor = 1;
  int pipeline = 1;
  int context = 1;
  std::string schedule = "1f1b";
  int chunks = 1;
  int zero = 0;
  int64_t micro_batch = 1;
  nn::Recompute recompute = nn::Recompute::kNothing;

  int64_t devices() const {
    return int64_t{1} * data * tensor * pipeline * context;
  }
};

// What may not be chosen; nothing: it is free.
struct Fixed {
  std::optional<int> data, tensor, pipeline, context;
  std::optional<std::string> schedule;
  std::optional<int> chunks, zero;
  std::optional<int64_t> micro_batch;
  std::optional<nn::Recompute> recompute;
};

struct SearchOptions {
  int devices = 1;  // at the most
  Fixed fixed{};
  PlayOptions play{};
  // Of a device's memory, what tensors may take: libraries, the driver, what
  // collectives buffer and what caching rounds up need the rest.
  double memory_share = 0.9;
  Ranking ranking{};
};

struct Candidate {
  Layout layout;
  Forecast forecast;
  double score = 0;  // what it is ranked by
};

struct SearchResult {
  std::vector<Candidate> fitting;  // best first
  // Where nothing fits: what took the least memory.
  std::optional<Candidate> smallest;
  // Of those that need no look, what the smallest takes at least; 0: none.
  double least_memory = 0;
  int64_t tried = 0;
  int64_t too_large = 0;  // for the memory
  int64_t too_late = 0;   // for Ranking::most_hours
  // Not tried: the least that they could take is far above what others do, or
  // they are another's with more data ranks, where fewer devices are better.
  int64_t hopeless = 0;
};

// Layouts on which `config` trains the batch that it says, each on as many of
// the devices as its data ranks divide the batch for, and with as little
// recomputing and dividing of state as its memory allows; where fewer may be
// better (ranking.h), on fewer as well. Takes a few milliseconds for each on
// every core of this machine. InvalidArgument where no layout is valid whatever
// the memory: the message is that of the one that came nearest; and where some
// fit and none is in time, with the quickest.
absl::StatusOr<SearchResult> Search(const train::EngineConfig& config,
                                    const Hardware& hardware,
                                    const SearchOptions& options);

// `config` as `layout` has it.
train::EngineConfig WithLayout(const train::EngineConfig& config,
                               const Layout& layout);
// As it runs on `hardware`, where context ranks have neighbours.
train::EngineConfig WithLayout(const train::EngineConfig& config,
                               const Layout& layout, const parallel::Mesh& mesh,
                               const Hardware& hardware);
absl::StatusOr<parallel::Mesh> MeshOf(const Layout& layout);

}  // namespace eisbach::plan
