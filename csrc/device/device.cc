#include "device/device.h"

#include "absl/strings/str_cat.h"

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

absl::StatusOr<std::shared_ptr<Device>> MakeDevice(DeviceType type) {
  DeviceFactory factory = Factories()[static_cast<int>(type)];
  if (factory == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("device ", Name(type), " is not in this build"));
  }
  return factory();
}

bool RegisterDevice(DeviceType type, DeviceFactory factory) {
  Factories()[static_cast<int>(type)] = factory;
  return true;
}

}  // namespace eisbach
