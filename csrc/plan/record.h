#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "device/device.h"
#include "device/recorder.h"
#include "parallel/mesh.h"
#include "train/engine.h"

namespace eisbach::plan {

// One thing that a rank gives a stream, or does between them.
struct Work {
  enum class Kind : uint8_t {
    kOp,
    kCollective,
    kRecord,  // `event` is what the stream has until here
    kWait,    // the stream waits for `event`
    kAction,  // the host comes to `action`
    kStepEnd,
  };
  Kind kind;
  uint8_t stream = 0;  // 0: compute
  uint16_t name = 0;   // of WorkRecord::names
  uint16_t group = 0;  // of a collective: of WorkRecord::names
  int64_t event = 0;
  OpCost op{};
  // Of a product: of so many like it in one kernel, whose operations and bytes
  // are those of all (op_seconds.h).
  int64_t groups = 1;
  CollectiveCost collective{};
  ActionMark action{};
};

// What one entry of the stage's list does to the rank's memory, or, with no
// letter, what comes between lists.
struct ActionMemory {
  ActionMark action;
  int64_t before;  // bytes in use
  int64_t most;
  int64_t after;
};

// All that a rank is given to do in two steps, in its order.
struct WorkRecord {
  std::vector<Work> work;
  std::vector<ActionMemory> memory;
  std::vector<std::string> names;
  int streams = 1;
  int64_t parameters = 0;  // that the rank computes with

  const std::string& name(const Work& w) const { return names[w.name]; }
  const std::string& group(const Work& w) const { return names[w.group]; }
};

// Records the second and third step of the real Engine on the meta device, in a
// world of which this rank alone is there: in the first one weights that ranks
// divide are not yet brought ahead, and what a step leaves on its way is waited
// for in the one after. `device`: whose kernels' workspaces are in its memory
// (ops/workspace.h); of meta there are none. Takes the time of the steps' host
// code. InvalidArgument as Engine::Validate.
absl::StatusOr<WorkRecord> RecordSteps(const train::EngineConfig& config,
                                       const parallel::Mesh& mesh, int rank,
                                       DeviceType device = DeviceType::kMeta);

}  // namespace eisbach::plan
