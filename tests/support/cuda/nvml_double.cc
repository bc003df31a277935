// A double of the part of NVML that the backend calls. The GPUs of the host are
// the lines of the file that EISBACH_NVML_DOUBLE names, such as
//
//   0000:00:00.0 uuid=GPU-0 pcie=5x16 links=18 mbps=50000 to=switch state=3
//   0000:01:00.0 uuid=GPU-1 pcie=4x16 links=4 mbps=25000 to=0000:00:00.0
//
// with `cluster=` (hexadecimal), `clique=`, `status=` and `health=` of the
// fabric; without `state=` there is none. `to=` is a switch or the GPUs that
// links lead to in turn. `version=2` is a driver that knows version 2 of the
// fabric's struct alone. The declarations are NVIDIA's.
#include <nvml.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

// Defined here as opaque, as in NVIDIA's header.
struct nvmlDevice_st {
  std::string address;
  std::map<std::string, std::string> facts;

  std::string Text(const char* key) const {
    const auto found = facts.find(key);
    return found == facts.end() ? "" : found->second;
  }
  unsigned Number(const char* key) const {
    return std::strtoul(Text(key).c_str(), nullptr, 0);
  }
};

namespace {

std::vector<nvmlDevice_st>& Gpus() {
  static auto* const gpus = new std::vector<nvmlDevice_st>;
  return *gpus;
}

void SetAddress(const std::string& address, nvmlPciInfo_t* pci) {
  *pci = {};
  // NVML writes eight digits and capitals.
  std::string spelled = "0000" + address;
  for (char& c : spelled) c = std::toupper(c);
  std::snprintf(pci->busId, sizeof(pci->busId), "%s", spelled.c_str());
}

}  // namespace

nvmlReturn_t nvmlInit_v2() {
  const char* path = std::getenv("EISBACH_NVML_DOUBLE");
  if (path == nullptr) return NVML_ERROR_DRIVER_NOT_LOADED;
  std::ifstream file(path);
  if (!file.good()) return NVML_ERROR_DRIVER_NOT_LOADED;
  Gpus().clear();
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    nvmlDevice_st gpu;
    if (!(words >> gpu.address)) continue;
    for (std::string word; words >> word;) {
      const size_t equals = word.find('=');
      gpu.facts[word.substr(0, equals)] = word.substr(equals + 1);
    }
    Gpus().push_back(gpu);
  }
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown() { return NVML_SUCCESS; }

const char* nvmlErrorString(nvmlReturn_t result) {
  switch (result) {
    case NVML_SUCCESS:
      return "Success";
    case NVML_ERROR_DRIVER_NOT_LOADED:
      return "Driver Not Loaded";
    case NVML_ERROR_NOT_FOUND:
      return "Not Found";
    default:
      return "Unknown Error";
  }
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned* count) {
  *count = Gpus().size();
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index,
                                           nvmlDevice_t* device) {
  if (index >= Gpus().size()) return NVML_ERROR_INVALID_ARGUMENT;
  *device = &Gpus()[index];
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char* address,
                                              nvmlDevice_t* device) {
  for (nvmlDevice_st& gpu : Gpus()) {
    if (gpu.address != address) continue;
    *device = &gpu;
    return NVML_SUCCESS;
  }
  return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t* pci) {
  SetAddress(device->address, pci);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid,
                               unsigned length) {
  std::snprintf(uuid, length, "%s", device->Text("uuid").c_str());
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link,
                                      nvmlEnableState_t* active) {
  if (device->Number("links") == 0) return NVML_ERROR_NOT_SUPPORTED;
  *active = link < device->Number("links") ? NVML_FEATURE_ENABLED
                                           : NVML_FEATURE_DISABLED;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(
    nvmlDevice_t device, unsigned link, nvmlIntNvLinkDeviceType_t* type) {
  if (link >= device->Number("links")) return NVML_ERROR_INVALID_ARGUMENT;
  *type = device->Text("to") == "switch" ? NVML_NVLINK_DEVICE_TYPE_SWITCH
                                         : NVML_NVLINK_DEVICE_TYPE_GPU;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device,
                                                 unsigned link,
                                                 nvmlPciInfo_t* pci) {
  if (link >= device->Number("links")) return NVML_ERROR_INVALID_ARGUMENT;
  std::vector<std::string> peers;
  std::istringstream text(device->Text("to"));
  for (std::string peer; std::getline(text, peer, ',');) peers.push_back(peer);
  SetAddress(peers[link % peers.size()], pci);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count,
                                      nvmlFieldValue_t* values) {
  for (int i = 0; i < count; ++i) {
    values[i].nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
    if (values[i].fieldId != NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON) continue;
    values[i].nvmlReturn = NVML_SUCCESS;
    values[i].valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
    values[i].value.uiVal = device->Number("mbps");
  }
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device,
                                                unsigned* generation) {
  *generation = device->Number("pcie");  // up to the x
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device,
                                           unsigned* width) {
  const std::string text = device->Text("pcie");
  *width = std::atoi(text.c_str() + text.find('x') + 1);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device,
                                         nvmlGpuFabricInfoV_t* info) {
  const bool old = device->Number("version") == 2;
  if (info->version != nvmlGpuFabricInfo_v2 &&
      (old || info->version != nvmlGpuFabricInfo_v3)) {
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  }
  info->state = device->Number("state");
  info->status = static_cast<nvmlReturn_t>(device->Number("status"));
  info->cliqueId = device->Number("clique");
  info->healthMask = device->Number("health");
  const std::string cluster = device->Text("cluster");
  std::memset(info->clusterUuid, 0, sizeof(info->clusterUuid));
  for (size_t i = 0; i + 1 < cluster.size(); i += 2) {
    info->clusterUuid[i / 2] =
        std::strtoul(cluster.substr(i, 2).c_str(), nullptr, 16);
  }
  return NVML_SUCCESS;
}
