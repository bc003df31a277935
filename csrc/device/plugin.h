#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace eisbach {

enum class DeviceType : uint8_t;

// Loads the library that holds the backend of a device, at the first use of it:
// libeisbach_cuda.so beside this library, or the file that the variable
// EISBACH_CUDA_LIBRARY names. OK for a device that has no plug-in. Unavailable,
// with the linker's words and what to do, when that fails; the same each time.
absl::Status LoadPlugin(DeviceType type);

}  // namespace eisbach
