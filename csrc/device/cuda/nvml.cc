#include "device/cuda/nvml.h"

#include <dlfcn.h>

#include <cstdlib>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace eisbach::cuda {

absl::StatusOr<std::unique_ptr<Nvml>> Nvml::Load() {
  const char* chosen = std::getenv("EISBACH_NVML_LIBRARY");
  const char* path = chosen != nullptr ? chosen : "libnvidia-ml.so.1";
  std::unique_ptr<Nvml> nvml(new Nvml);
  nvml->library_ = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (nvml->library_ == nullptr) return absl::UnavailableError(dlerror());

  std::string missing;
  const auto find = [&](auto& function, const char* name, bool needed) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(
        dlsym(nvml->library_, name));
    if (needed && function == nullptr) absl::StrAppend(&missing, " ", name);
  };
  decltype(&nvmlInit_v2) init = nullptr;
  find(init, "nvmlInit_v2", true);
  find(nvml->shutdown_, "nvmlShutdown", true);
  find(nvml->error_string_, "nvmlErrorString", true);
  find(nvml->handle_by_pci, "nvmlDeviceGetHandleByPciBusId_v2", true);
  find(nvml->count, "nvmlDeviceGetCount_v2", true);
  find(nvml->handle_by_index, "nvmlDeviceGetHandleByIndex_v2", true);
  find(nvml->pci_info, "nvmlDeviceGetPciInfo_v3", true);
  find(nvml->uuid, "nvmlDeviceGetUUID", true);
  find(nvml->link_state, "nvmlDeviceGetNvLinkState", true);
  find(nvml->link_remote_pci, "nvmlDeviceGetNvLinkRemotePciInfo_v2", true);
  find(nvml->field_values, "nvmlDeviceGetFieldValues", true);
  find(nvml->pcie_generation, "nvmlDeviceGetMaxPcieLinkGeneration", true);
  find(nvml->pcie_width, "nvmlDeviceGetMaxPcieLinkWidth", true);
  find(nvml->link_remote_type, "nvmlDeviceGetNvLinkRemoteDeviceType", false);
  find(nvml->fabric_info, "nvmlDeviceGetGpuFabricInfoV", false);
  if (!missing.empty()) {
    return absl::UnavailableError(absl::StrCat(path, " lacks", missing));
  }
  if (const nvmlReturn_t code = init(); code != NVML_SUCCESS) {
    return absl::UnavailableError(absl::StrCat("nvmlInit: ", nvml->Text(code)));
  }
  nvml->started_ = true;
  return nvml;
}

Nvml::~Nvml() {
  if (started_) shutdown_();
  if (library_ != nullptr) dlclose(library_);
}

}  // namespace eisbach::cuda
