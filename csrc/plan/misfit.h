#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "plan/least_memory.h"
#include "plan/search.h"

namespace eisbach::plan {

// Of a job that fits on no layout: what takes the least, and each way by which
// something would fit if all else stayed. What would not help is not there.
struct Misfit {
  Candidate least;
  double memory = 0;  // bytes of a device
  // So many devices, to an eighth; nothing: no number of them.
  std::optional<int64_t> devices;
  // Tokens of a row: the most of halves, quarters, ...
  std::optional<int64_t> context;
  std::vector<std::string> keys;  // given ones that would have to be free
};

// Takes as long as some searches. InvalidArgument as LeastMemory.
absl::StatusOr<Misfit> WhatFits(const train::EngineConfig& config,
                                const Hardware& hardware,
                                const SearchOptions& options);

}  // namespace eisbach::plan
