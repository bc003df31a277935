#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace eisbach::ops::cpu {

// n elements of f32, bf16 or f16 to f32. Exact.
void ToFloat(const void* from, DType dtype, int64_t n, float* to);

// f32 to n elements of f32, bf16 or f16, to nearest even; NaN stays NaN.
void FromFloat(const float* from, int64_t n, DType dtype, void* to);

}  // namespace eisbach::ops::cpu
