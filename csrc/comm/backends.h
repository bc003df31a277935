#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "comm/world.h"

// What the backend folders offer to the files beside this one.
namespace eisbach::comm {

// A world of one, which is this process.
absl::StatusOr<std::unique_ptr<World>> SoloWorld(DeviceType device);

// The ranks that an MPI launcher has started.
absl::StatusOr<std::unique_ptr<World>> MpiWorld(DeviceType device);

}  // namespace eisbach::comm
