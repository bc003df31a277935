#include "device/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "device/device.h"

namespace eisbach {
namespace {

constexpr char kCudaLibrary[] = "libeisbach_cuda.so";

// The folder of the library that this function is in.
std::string OwnFolder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&LoadPlugin), &info) == 0 ||
      info.dli_fname == nullptr) {
    return "";
  }
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

absl::Status LoadCuda() {
  const char* chosen = std::getenv("EISBACH_CUDA_LIBRARY");
  const std::string path =
      chosen != nullptr ? chosen : absl::StrCat(OwnFolder(), kCudaLibrary);
  if (access(path.c_str(), R_OK) != 0) {
    return absl::UnavailableError(absl::StrCat(
        "device cuda: ", path, " is not there: ",
        chosen != nullptr
            ? "EISBACH_CUDA_LIBRARY names no file that can be read"
            : "this build of Eisbach has no CUDA part; build it with "
              "-DEISBACH_CUDA=ON (docs/gpu.md), or train on run.device=cpu"));
  }
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr) {
    return absl::OkStatus();
  }
  const std::string said = dlerror();
  return absl::UnavailableError(absl::StrCat(
      "device cuda: ", said,
      absl::StrContains(said, "cannot open shared object")
          ? "; NVIDIA's libraries come with: pip install 'eisbach[cuda]'"
          : "",
      "; or train on run.device=cpu"));
}

}  // namespace

absl::Status LoadPlugin(DeviceType type) {
  if (type != DeviceType::kCuda) return absl::OkStatus();
  static const absl::Status* const loaded = new absl::Status(LoadCuda());
  return *loaded;
}

}  // namespace eisbach
