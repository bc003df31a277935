#pragma once

#include <cstdlib>
#include <string>

#include "device/device.h"

namespace eisbach::test {

// The type of device that a test checks: cpu, or what EISBACH_TEST_DEVICE says.
inline DeviceType TestedType() {
  const char* name = std::getenv("EISBACH_TEST_DEVICE");
  return name != nullptr && std::string(name) == "cuda" ? DeviceType::kCuda
                                                        : DeviceType::kCpu;
}

}  // namespace eisbach::test
