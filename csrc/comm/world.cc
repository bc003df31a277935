#include "comm/world.h"

#include <cstdlib>

#include "comm/backends.h"
#include "comm/launcher.h"
#include "core/status_macros.h"

namespace eisbach::comm {

absl::StatusOr<std::unique_ptr<World>> InitWorld(DeviceType device) {
  EISBACH_ASSIGN_OR_RETURN(
      const std::optional<Launcher> launcher,
      FindLauncher([](const char* name) { return std::getenv(name); }));
  if (!launcher) return SoloWorld(device);
  return MpiWorld(device, *launcher);
}

}  // namespace eisbach::comm
