#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nn/module.h"
#include "plan/hardware.h"
#include "plan/layout.h"
#include "plan/ranking.h"
#include "train/engine.h"

namespace eisbach::plan {

// What may not be chosen; nothing: it is free.
struct Fixed {
  std::optional<int> data, tensor, pipeline, context, expert;
  std::optional<std::string> schedule;
  std::optional<int> chunks, zero;
  std::optional<int64_t> micro_batch;
  std::optional<nn::Recompute> recompute;
  std::optional<int64_t> recompute_layers;
};

// Ways to divide a job among at most `devices`: each on as many as its data
// ranks divide the batch for, and where the best `by` may need fewer, on fewer
// as well. What a layout does to fit memory, zero and what it recomputes, is
// left as it is in Layout. `experts`: of a layer, that ranks of a stage may
// divide; 0: there are none.
std::vector<Layout> EnumerateLayouts(const train::EngineConfig& config,
                                     const Hardware& hardware, int devices,
                                     const Fixed& fixed,
                                     RankBy by = RankBy::kTime,
                                     int64_t experts = 0);

// InvalidArgument that says why there are none of them.
absl::Status WhyNone(const train::EngineConfig& config,
                     const Hardware& hardware, int devices, const Fixed& fixed,
                     int64_t experts);

// The values of a key, or the one that is fixed.
template <typename T>
std::vector<T> Choices(const std::optional<T>& fixed, std::vector<T> free) {
  if (fixed) return {*fixed};
  return free;
}

}  // namespace eisbach::plan
