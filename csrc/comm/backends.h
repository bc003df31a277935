#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "comm/launcher.h"
#include "comm/world.h"

// What the backend folders offer to the files beside this one.
namespace eisbach::comm {

// A world of one, which is this process.
absl::StatusOr<std::unique_ptr<World>> SoloWorld(DeviceType device);

// The ranks that `launcher` has started, connected by MPI.
absl::StatusOr<std::unique_ptr<World>> MpiWorld(DeviceType device,
                                                const Launcher& launcher);

}  // namespace eisbach::comm
