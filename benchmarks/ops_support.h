#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "core/check.h"
#include "core/philox.h"
#include "device/device.h"
#include "ops/elementwise.h"

// What programs that time single ops on the CPU share.
namespace eisbach {

inline void Check(const absl::Status& status) {
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  EISBACH_CHECK(status.ok());
}

template <typename T>
T Value(absl::StatusOr<T> result) {
  Check(result.status());
  return *std::move(result);
}

inline Device& TheDevice() {
  static std::shared_ptr<Device> device = Value(MakeDevice(DeviceType::kCpu));
  return *device;
}
inline Stream& TheStream() { return TheDevice().compute_stream(); }

// Uniform in [-1/2, 1/2).
inline Tensor Random(const Shape& shape, DType dtype) {
  Tensor x = Value(Tensor::Empty(shape, DType::kF32, TheDevice()));
  for (int64_t i = 0; i < x.elements(); ++i) {
    const PhiloxCounter r = Philox({static_cast<uint32_t>(i), 0, 0, 0}, {});
    x.data<float>()[i] = ToUniform(r[0]) - 0.5f;
  }
  return Value(ops::Cast(x, dtype, TheStream()));
}

}  // namespace eisbach
