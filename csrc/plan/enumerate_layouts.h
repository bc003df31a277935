#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "plan/fixed.h"
#include "plan/hardware.h"
#include "plan/layout.h"
#include "plan/ranking.h"
#include "train/engine.h"

namespace eisbach::plan {

// What there is to divide, and what stands.
struct Ways {
  const train::EngineConfig& config;
  const Hardware& hardware;
  int devices = 1;  // at the most
  Fixed fixed{};
  RankBy by = RankBy::kTime;
  int64_t experts = 0;  // of a layer, that ranks of a stage may divide; 0: none
  // Of this key all values count that work, not only those worth a look.
  std::optional<Key> whole{};
};

// Why what is given leaves no layout, in the order in which it is asked.
enum class Rule : uint8_t {
  kPositive,  // below 1
  kRows,      // twice the context ranks do not divide one (context/zigzag.h)
  kDevices,   // more than there are
  kBatch,     // data x micro_batch do not divide it
  kExperts,   // nor expert ranks the experts and the ranks of a stage
  kChunks,    // of a schedule
  kLayers,    // fewer than parts
};
struct Obstacle {
  Rule rule;
  Layout layout;  // that met it
};

// Ways to divide a job among at most `devices`: each on as many as its data
// ranks divide the batch for, and where the best `by` may need fewer, on fewer
// as well. What a layout does to fit memory, zero and what it recomputes, is
// left as it is in Layout. Ends when `visit` returns false. Returns the last
// rule, in their order, that what is given broke on its way.
std::optional<Obstacle> VisitLayouts(
    const Ways& ways, absl::FunctionRef<bool(const Layout&)> visit);

// All of them.
std::vector<Layout> EnumerateLayouts(const Ways& ways);
bool AnyLayout(const Ways& ways);

}  // namespace eisbach::plan
