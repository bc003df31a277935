#include "device/location.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/nvml.h"

namespace eisbach::cuda {
namespace {

// What a GPU's NVLinks lead to.
struct NvLinks {
  int active = 0;
  bool to_switch = false;
  std::set<std::string> peers;  // PCI addresses of GPUs
};

NvLinks LinksOf(const Nvml& nvml, nvmlDevice_t gpu) {
  NvLinks links;
  for (unsigned link = 0; link < NVML_NVLINK_MAX_LINKS; ++link) {
    nvmlEnableState_t state = NVML_FEATURE_DISABLED;
    if (nvml.link_state(gpu, link, &state) != NVML_SUCCESS ||
        state != NVML_FEATURE_ENABLED) {
      continue;
    }
    ++links.active;
    nvmlIntNvLinkDeviceType_t type = NVML_NVLINK_DEVICE_TYPE_UNKNOWN;
    if (nvml.link_remote_type != nullptr &&
        nvml.link_remote_type(gpu, link, &type) == NVML_SUCCESS &&
        type == NVML_NVLINK_DEVICE_TYPE_SWITCH) {
      links.to_switch = true;
      continue;
    }
    nvmlPciInfo_t remote = {};
    if (nvml.link_remote_pci(gpu, link, &remote) == NVML_SUCCESS) {
      links.peers.insert(PciAddress(remote.busId));
    }
  }
  return links;
}

// The speed of all active links together, of one GPU one way.
double NvLinkGigabytes(const Nvml& nvml, nvmlDevice_t gpu, int links) {
  nvmlFieldValue_t field = {};
  field.fieldId = NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON;
  if (nvml.field_values(gpu, 1, &field) != NVML_SUCCESS ||
      field.nvmlReturn != NVML_SUCCESS) {
    return 0;
  }
  const double megabytes = field.valueType == NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
                               ? static_cast<double>(field.value.ullVal)
                               : field.value.uiVal;
  return megabytes * links / 1000;
}

// A lane's GB/s one way, by generation (PCI Express Base Specification 6.0:
// 8, 16, 32 GT/s in 128b/130b, 64 GT/s in 242B/256B flits).
Link PcieLink(const Nvml& nvml, nvmlDevice_t gpu) {
  constexpr double kLane[] = {0, 0.25, 0.5, 0.985, 1.969, 3.938, 7.563};
  unsigned generation = 0, width = 0;
  if (nvml.pcie_generation(gpu, &generation) != NVML_SUCCESS ||
      nvml.pcie_width(gpu, &width) != NVML_SUCCESS) {
    return {.name = "PCIe"};
  }
  const double lane = generation < std::size(kLane) ? kLane[generation] : 0;
  return {.name = absl::StrCat("PCIe ", generation, " x", width),
          .gigabytes = lane * width};
}

// The GPUs of this host that NVLink connects with `pci` without a switch, by
// their addresses; itself included.
std::set<std::string> Connected(const Nvml& nvml, const std::string& pci) {
  std::map<std::string, std::set<std::string>> peers;
  unsigned count = 0;
  if (nvml.count(&count) != NVML_SUCCESS) count = 0;
  for (unsigned index = 0; index < count; ++index) {
    nvmlDevice_t gpu = nullptr;
    nvmlPciInfo_t info = {};
    if (nvml.handle_by_index(index, &gpu) != NVML_SUCCESS ||
        nvml.pci_info(gpu, &info) != NVML_SUCCESS) {
      continue;
    }
    peers[PciAddress(info.busId)] = LinksOf(nvml, gpu).peers;
  }
  std::set<std::string> connected;
  std::vector<std::string> open = {pci};
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    const auto known = peers.find(next);
    if (known == peers.end() || !connected.insert(next).second) continue;
    open.insert(open.end(), known->second.begin(), known->second.end());
  }
  connected.insert(pci);
  return connected;
}

// What the fabric manager says of a GPU.
struct Fabric {
  std::string domain;  // empty: none that leaves the host
  std::string note;    // what is wrong with it; empty: nothing
};

Fabric FabricOf(const Nvml& nvml, nvmlDevice_t gpu) {
  if (nvml.fabric_info == nullptr) return {};
  nvmlGpuFabricInfoV_t info = {};
  info.version = nvmlGpuFabricInfo_v3;
  nvmlReturn_t code = nvml.fabric_info(gpu, &info);
  if (code == NVML_ERROR_ARGUMENT_VERSION_MISMATCH) {
    info = {};
    info.version = nvmlGpuFabricInfo_v2;
    code = nvml.fabric_info(gpu, &info);
  }
  if (code != NVML_SUCCESS ||
      info.state == NVML_GPU_FABRIC_STATE_NOT_SUPPORTED) {
    return {};
  }
  if (info.state != NVML_GPU_FABRIC_STATE_COMPLETED) {
    return {.note = "the fabric manager has not finished with this GPU"};
  }
  if (info.status != NVML_SUCCESS) {
    return {.note = absl::StrCat("the fabric manager reports: ",
                                 nvml.Text(info.status))};
  }
  const absl::string_view cluster(
      reinterpret_cast<const char*>(info.clusterUuid),
      sizeof(info.clusterUuid));
  Fabric fabric;
  if (cluster.find_first_not_of('\0') != absl::string_view::npos) {
    fabric.domain = absl::StrCat("fabric ", absl::BytesToHexString(cluster),
                                 " clique ", info.cliqueId);
  }
  if (NVML_GPU_FABRIC_HEALTH_TEST(info.healthMask, _DEGRADED_BW, _TRUE)) {
    fabric.note = "its NVLink bandwidth is degraded";
  }
  return fabric;
}

// Fills in domain, domain_source and domain_link.
void FindDomain(const Nvml& nvml, nvmlDevice_t gpu, DeviceLocation& at) {
  const NvLinks links = LinksOf(nvml, gpu);
  const Fabric fabric = FabricOf(nvml, gpu);
  at.domain_link = {.name = "NVLink",
                    .gigabytes = NvLinkGigabytes(nvml, gpu, links.active)};
  if (!fabric.domain.empty()) {
    at.domain = fabric.domain;
    at.domain_spans_hosts = true;
    at.domain_source = "NVLink fabric: cluster and clique of NVML";
  } else if (links.to_switch) {
    at.domain = "NVSwitch";
    at.domain_source = "NVLinks lead to the switches of the host";
  } else if (const auto peers = Connected(nvml, at.pci); peers.size() > 1) {
    at.domain = absl::StrCat("NVLink ", *peers.begin());
    at.domain_source = "NVLinks lead to other GPUs of the host";
  } else {
    at.domain = at.pci;
    at.domain_source = "no NVLink leads to another GPU";
    at.domain_link = {};
  }
  if (!fabric.note.empty()) {
    absl::StrAppend(&at.domain_source, "; ", fabric.note);
  }
}

DeviceLocation Locate(Device& device) {
  auto& gpu = static_cast<CudaDevice&>(device);
  DeviceLocation at;
  at.name = gpu.name();
  char address[32] = "";
  const cudaError_t error =
      cudaDeviceGetPCIBusId(address, sizeof(address), gpu.index());
  if (error == cudaSuccess) {
    at.pci = PciAddress(address);
    at.numa_node = NumaNodeOf("/sys", at.pci);
  } else {
    cudaGetLastError();
  }
  at.adapters = AdaptersNear("/sys", at.pci);
  at.domain = absl::StrCat("GPU ", gpu.index());
  at.host_link = {.name = "PCIe"};
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) == cudaSuccess) {
    at.memory = static_cast<int64_t>(total);
  } else {
    cudaGetLastError();
  }

  const absl::StatusOr<std::unique_ptr<Nvml>> nvml = Nvml::Load();
  if (!nvml.ok()) {
    at.domain_source = absl::StrCat("unknown: ", nvml.status().message());
    return at;
  }
  nvmlDevice_t handle = nullptr;
  const nvmlReturn_t code = (*nvml)->handle_by_pci(address, &handle);
  if (code != NVML_SUCCESS) {
    at.domain_source = absl::StrCat("unknown: NVML does not find GPU ", address,
                                    ": ", (*nvml)->Text(code));
    return at;
  }
  char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = "";
  if ((*nvml)->uuid(handle, uuid, sizeof(uuid)) == NVML_SUCCESS) at.uuid = uuid;
  at.host_link = PcieLink(**nvml, handle);
  FindDomain(**nvml, handle, at);
  return at;
}

[[maybe_unused]] const bool located =
    RegisterLocator(DeviceType::kCuda, &Locate);

}  // namespace
}  // namespace eisbach::cuda
