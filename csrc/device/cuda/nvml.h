#pragma once

#include <nvml.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace eisbach::cuda {

// NVIDIA's management library, which comes with the driver: loaded when asked
// for (libnvidia-ml.so.1, or the file that EISBACH_NVML_LIBRARY names) and let
// go with the object.
class Nvml {
 public:
  // Unavailable, with the reason, where there is no library or no driver.
  static absl::StatusOr<std::unique_ptr<Nvml>> Load();
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // The text of an error code.
  std::string Text(nvmlReturn_t code) const { return error_string_(code); }

  // The functions, by NVIDIA's names without the prefix. Those that an old
  // driver may lack are null there.
  decltype(&nvmlDeviceGetHandleByPciBusId_v2) handle_by_pci = nullptr;
  decltype(&nvmlDeviceGetCount_v2) count = nullptr;
  decltype(&nvmlDeviceGetHandleByIndex_v2) handle_by_index = nullptr;
  decltype(&nvmlDeviceGetPciInfo_v3) pci_info = nullptr;
  decltype(&nvmlDeviceGetUUID) uuid = nullptr;
  decltype(&nvmlDeviceGetNvLinkState) link_state = nullptr;
  decltype(&nvmlDeviceGetNvLinkRemotePciInfo_v2) link_remote_pci = nullptr;
  decltype(&nvmlDeviceGetFieldValues) field_values = nullptr;
  decltype(&nvmlDeviceGetMaxPcieLinkGeneration) pcie_generation = nullptr;
  decltype(&nvmlDeviceGetMaxPcieLinkWidth) pcie_width = nullptr;
  decltype(&nvmlDeviceGetNvLinkRemoteDeviceType) link_remote_type = nullptr;
  decltype(&nvmlDeviceGetGpuFabricInfoV) fabric_info = nullptr;

 private:
  Nvml() = default;

  void* library_ = nullptr;
  bool started_ = false;
  decltype(&nvmlErrorString) error_string_ = nullptr;
  decltype(&nvmlShutdown) shutdown_ = nullptr;
};

}  // namespace eisbach::cuda
