#include "support/cuda/launch.h"

#include <map>
#include <mutex>

#include "support/cuda/bounds.h"

namespace eisbach::doubles {
namespace {

constexpr size_t kFreeShared = 48 << 10;
constexpr uint64_t kMostThreads = 1024;

// What cudaFuncSetAttribute has allowed.
std::map<const void*, size_t>& SharedLimits() {
  static auto* const limits = new std::map<const void*, size_t>;
  return *limits;
}

}  // namespace

cudaError_t CheckLaunch(const cudaLaunchConfig_t& config, const void* kernel) {
  if (!IsOfCurrentDevice(config.stream)) return cudaErrorInvalidResourceHandle;
  std::lock_guard<std::recursive_mutex> lock(Lock());
  const dim3& block = config.blockDim;
  const dim3& grid = config.gridDim;
  const unsigned bound = emulation::BoundOf(kernel);
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > (bound == 0 ? kMostThreads : bound) ||
      grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu ||
      grid.y > 65535 || grid.z > 65535) {
    return cudaErrorInvalidConfiguration;
  }
  const auto limit = SharedLimits().find(kernel);
  const size_t most =
      limit == SharedLimits().end() ? kFreeShared : limit->second;
  if (config.dynamicSmemBytes > most) return cudaErrorInvalidValue;
  if (config.numAttrs != 0) return cudaErrorNotSupported;  // no double has any
  ++counters().launches;
  return cudaSuccess;
}

extern "C" cudaError_t cudaFuncSetAttribute(const void* kernel,
                                            cudaFuncAttribute attribute,
                                            int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) {
    return cudaErrorNotSupported;
  }
  if (value < 0 || value > emulation::kMaxDynamicShared)
    return cudaErrorInvalidValue;
  std::lock_guard<std::recursive_mutex> lock(Lock());
  SharedLimits()[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

}  // namespace eisbach::doubles
