#include "comm/backends.h"

namespace eisbach::comm {
namespace {

FabricFactory& FactoryOf(DeviceType type) {
  static FabricFactory factories[kNumDeviceTypes] = {};
  return factories[static_cast<int>(type)];
}

}  // namespace

bool RegisterFabric(DeviceType type, FabricFactory factory) {
  FactoryOf(type) = factory;
  return true;
}

FabricFactory FabricOf(DeviceType type) { return FactoryOf(type); }

}  // namespace eisbach::comm
