#include "device/device.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "device/plugin.h"

namespace eisbach {
namespace {

DeviceFactory* Factories() {
  static DeviceFactory factories[kNumDeviceTypes] = {};
  return factories;
}

}  // namespace

absl::string_view Name(DeviceType type) {
  switch (type) {
    case DeviceType::kCpu:
      return "cpu";
    case DeviceType::kCuda:
      return "cuda";
    case DeviceType::kMeta:
      return "meta";
  }
  return "?";
}

absl::StatusOr<std::shared_ptr<void>> Device::AllocateHost(size_t bytes) {
  return std::shared_ptr<void>(std::malloc(std::max<size_t>(bytes, 1)),
                               &std::free);
}

absl::StatusOr<std::shared_ptr<Device>> MakeDevice(DeviceType type, int index) {
  DeviceFactory& factory = Factories()[static_cast<int>(type)];
  if (factory == nullptr) EISBACH_RETURN_IF_ERROR(LoadPlugin(type));
  if (factory == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("device ", Name(type), " is not in this build"));
  }
  return factory(index);
}

bool RegisterDevice(DeviceType type, DeviceFactory factory) {
  Factories()[static_cast<int>(type)] = factory;
  return true;
}

}  // namespace eisbach
