#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "tensor/tensor.h"

namespace eisbach {

// The values of a contiguous f32, bf16 or f16 tensor, from f32 on the host and
// back; rounded to nearest. `host` holds tensor.elements(). Both wait for
// `stream`.
absl::Status WriteValues(const float* host, const Tensor& tensor,
                         Stream& stream);
absl::Status ReadValues(const Tensor& tensor, float* host, Stream& stream);

// f32 of `elements` values of a float type (bf16, f16 or f32).
void WidenValues(DType dtype, const void* values, int64_t elements,
                 float* widened);

}  // namespace eisbach
