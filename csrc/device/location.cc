#include "device/location.h"

#include "core/host_memory.h"

namespace eisbach {
namespace {

using Locator = DeviceLocation (*)(Device&);

Locator& LocatorOf(DeviceType type) {
  static Locator locators[kNumDeviceTypes];
  return locators[static_cast<int>(type)];
}

// Ranks that compute with the host's cores meet in its memory.
DeviceLocation OnHost() {
  return {.name = ProcessorName(),
          .domain = "memory",
          .domain_source = "ranks of a host share its memory",
          .domain_link = {.name = "memory"},
          .host_link = {.name = "memory"},
          .adapters = AdaptersNear("/sys", ""),
          .memory = HostMemory()};
}

}  // namespace

DeviceLocation LocationOf(Device& device) {
  const Locator locate = LocatorOf(device.type());
  return locate == nullptr ? OnHost() : locate(device);
}

void BindNear(Device& device) {
  if (LocatorOf(device.type()) == nullptr) return;
  BindToNode("/sys", LocationOf(device).numa_node);
}

bool RegisterLocator(DeviceType type, Locator locate) {
  LocatorOf(type) = locate;
  return true;
}

}  // namespace eisbach
