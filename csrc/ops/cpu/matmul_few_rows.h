#pragma once

#include "absl/status/status.h"
#include "device/device.h"
#include "ops/cpu/matmul_gemm.h"

namespace eisbach::ops::cpu {

// Products of a linear layer with the few rows of a step of sampling: they are
// bound by reading the weights, which libraries rearrange first and, in 16
// bits, convert.

// Whether MultiplyFewRows takes a product: 8 rows at most of c = a · b + bias,
// where b is a transposed matrix (weights [N, K]) and a is not.
bool HasFewRows(const Gemm& gemm);

// Reads b once, as it is. Sums are in f32, rounded once. The bits of a row
// depend on it and b alone, not on other rows nor on the thread count.
absl::Status MultiplyFewRows(const Gemm& gemm, Device& device);

}  // namespace eisbach::ops::cpu
