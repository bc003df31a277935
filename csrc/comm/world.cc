#include "comm/world.h"

#include "comm/backends.h"

namespace eisbach::comm {

absl::StatusOr<std::unique_ptr<World>> InitWorld(DeviceType device) {
  return SoloWorld(device);
}

}  // namespace eisbach::comm
