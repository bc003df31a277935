#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "device/device.h"

namespace eisbach::test {

// ctest counts a test that ends with it as not run.
inline constexpr int kNotRun = 77;

// The type of device that a test checks: cpu, or what EISBACH_TEST_DEVICE says.
// A test of a device that is not there ends here, as one that did not run.
inline DeviceType TestedType() {
  const char* name = std::getenv("EISBACH_TEST_DEVICE");
  if (name == nullptr || std::string(name) != "cuda") return DeviceType::kCpu;
  static const absl::Status* const status =
      new absl::Status(CountDevices(DeviceType::kCuda).status());
  if (absl::IsUnavailable(*status)) {
    std::printf("NOT RUN: %s\n", std::string(status->message()).c_str());
    std::fflush(nullptr);
    std::_Exit(kNotRun);
  }
  return DeviceType::kCuda;
}

}  // namespace eisbach::test
