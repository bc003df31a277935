#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "device/device.h"

namespace eisbach::bindings {

// "cpu", "cuda" or "meta".
absl::StatusOr<DeviceType> ParseDeviceType(absl::string_view name);

}  // namespace eisbach::bindings
