#include "device/device.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "device/plugin.h"

namespace eisbach {
namespace {

DeviceBackend& BackendOf(DeviceType type) {
  static DeviceBackend backends[kNumDeviceTypes];
  return backends[static_cast<int>(type)];
}

absl::StatusOr<DeviceBackend> Load(DeviceType type) {
  const DeviceBackend& backend = BackendOf(type);
  if (backend.make == nullptr) EISBACH_RETURN_IF_ERROR(LoadPlugin(type));
  if (backend.make == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("device ", Name(type), " is not in this build"));
  }
  return backend;
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
  void* data = std::malloc(std::max<size_t>(bytes, 1));
  if (data == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the system has no ", bytes >> 20, " MiB more"));
  }
  return std::shared_ptr<void>(data, &std::free);
}

absl::StatusOr<std::unique_ptr<CapturedWork>> Device::NewCapturedWork() {
  return absl::UnimplementedError(
      absl::StrCat("device ", Name(type()), " does not capture work"));
}

absl::StatusOr<std::shared_ptr<Device>> MakeDevice(DeviceType type, int index) {
  EISBACH_ASSIGN_OR_RETURN(const DeviceBackend backend, Load(type));
  return backend.make(index);
}

absl::StatusOr<int> CountDevices(DeviceType type) {
  EISBACH_ASSIGN_OR_RETURN(const DeviceBackend backend, Load(type));
  return backend.count();
}

bool RegisterDevice(DeviceType type, const DeviceBackend& backend) {
  BackendOf(type) = backend;
  return true;
}

}  // namespace eisbach
