#include "tensor/host_values.h"

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
absl::Status ReadWidened(const Tensor& tensor, float* host, Stream& stream) {
  std::vector<T> values(tensor.elements());
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToHost(
      values.data(), tensor.raw(), tensor.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  for (size_t i = 0; i < values.size(); ++i) {
    host[i] = static_cast<float>(values[i]);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteValues(const float* host, const Tensor& tensor,
                         Stream& stream) {
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
  switch (tensor.dtype()) {
    case DType::kBF16:
      return ReadWidened<BFloat16>(tensor, host, stream);
    case DType::kF16:
      return ReadWidened<Float16>(tensor, host, stream);
    default:
      EISBACH_RETURN_IF_ERROR(stream.device().CopyToHost(
          host, tensor.data<float>(), tensor.bytes(), stream));
      return stream.Synchronize();
  }
}

}  // namespace eisbach
