#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "device/device.h"

namespace eisbach::ops {

// Bytes that the kernel of `device` takes from it while it computes an op of
// such a cost, and gives back at its end: for estimates, which run on meta. 0
// where a kernel takes none, or so few that it tells nobody.
int64_t WorkspaceBytes(absl::string_view op, const OpCost& cost,
                       DeviceType device);

using WorkspaceFunction = int64_t (*)(const OpCost&);

// By a backend, for an op by its name; from a static initialiser.
bool RegisterWorkspace(absl::string_view op, DeviceType device,
                       WorkspaceFunction function);

}  // namespace eisbach::ops
