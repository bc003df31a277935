#include "comm/world.h"

#include <cstdlib>

#include "comm/backends.h"
#include "comm/launcher.h"
#include "core/status_macros.h"
#include "core/threads.h"

namespace eisbach::comm {

absl::Status World::FinalizeWithin(absl::Duration limit) {
  if (Activity* activity = communicator().activity(); activity != nullptr) {
    activity->Enter(Phase::kEnd);
  }
  EISBACH_RETURN_IF_ERROR(DoFinalize(limit));
  communicator().End();
  companions_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<World>> InitWorld(DeviceType device,
                                                 absl::string_view interface) {
  EISBACH_ASSIGN_OR_RETURN(
      const std::optional<Launcher> launcher,
      FindLauncher([](const char* name) { return std::getenv(name); }));
  EISBACH_ASSIGN_OR_RETURN(
      std::unique_ptr<World> world,
      launcher ? MpiWorld(device, *launcher, interface) : SoloWorld(device));
  SetComputeThreads(std::getenv("OMP_NUM_THREADS") == nullptr
                        ? world->compute_threads()
                        : ComputeThreads());
  return world;
}

}  // namespace eisbach::comm
