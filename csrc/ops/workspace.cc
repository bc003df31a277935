#include "ops/workspace.h"

#include <array>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace eisbach::ops {
namespace {

using ByOp = absl::flat_hash_map<std::string, WorkspaceFunction>;

// Lives in a function so that it exists before any registration.
std::array<ByOp, kNumDeviceTypes>& Workspaces() {
  static auto& workspaces = *new std::array<ByOp, kNumDeviceTypes>;
  return workspaces;
}

}  // namespace

int64_t WorkspaceBytes(absl::string_view op, const OpCost& cost,
                       DeviceType device) {
  const ByOp& known = Workspaces()[static_cast<int>(device)];
  const auto it = known.find(op);
  return it == known.end() ? 0 : it->second(cost);
}

bool RegisterWorkspace(absl::string_view op, DeviceType device,
                       WorkspaceFunction function) {
  Workspaces()[static_cast<int>(device)].emplace(op, function);
  return true;
}

}  // namespace eisbach::ops
