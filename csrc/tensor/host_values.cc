#include "tensor/host_values.h"

#include <cstddef>
#include <vector>

#include "core/status_macros.h"

namespace eisbach {
namespace {

template <typename T>
absl::Status WriteRounded(const float* host, const Tensor& tensor,
                          Stream& stream) {
  const std::vector<T> rounded(host, host + tensor.elements());
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToDevice(
      tensor.raw(), rounded.data(), tensor.bytes(), stream));
  return stream.Synchronize();
}

template <typename T>
void Widen(const void* values, int64_t elements, float* widened) {
  const T* from = static_cast<const T*>(values);
  for (int64_t i = 0; i < elements; ++i) {
    widened[i] = static_cast<float>(from[i]);
  }
}

}  // namespace

absl::Status WriteValues(const float* host, const Tensor& tensor,
                         Stream& stream) {
  if (tensor.elements() == 0) return absl::OkStatus();
  switch (tensor.dtype()) {
    case DType::kBF16:
      return WriteRounded<BFloat16>(host, tensor, stream);
    case DType::kF16:
      return WriteRounded<Float16>(host, tensor, stream);
    default:
      EISBACH_RETURN_IF_ERROR(stream.device().CopyToDevice(
          tensor.data<float>(), host, tensor.bytes(), stream));
      return stream.Synchronize();
  }
}

absl::Status ReadValues(const Tensor& tensor, float* host, Stream& stream) {
  if (tensor.elements() == 0) return absl::OkStatus();
  const bool as_it_is = tensor.dtype() == DType::kF32;
  std::vector<std::byte> values(as_it_is ? 0 : tensor.bytes());
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToHost(
      as_it_is ? static_cast<void*>(host) : values.data(), tensor.raw(),
      tensor.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  if (!as_it_is) {
    WidenValues(tensor.dtype(), values.data(), tensor.elements(), host);
  }
  return absl::OkStatus();
}

void WidenValues(DType dtype, const void* values, int64_t elements,
                 float* widened) {
  switch (dtype) {
    case DType::kBF16:
      return Widen<BFloat16>(values, elements, widened);
    case DType::kF16:
      return Widen<Float16>(values, elements, widened);
    default:
      return Widen<float>(values, elements, widened);
  }
}

}  // namespace eisbach
