#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "device/device.h"
#include "ops/matmul.h"

// What the matmul providers (oneDNN, OpenBLAS) share: a plain description of
// the product, and its computation in f32 where a provider or a CPU has no
// 16-bit products.
namespace eisbach::ops::cpu {

struct GemmOperand {
  const void* data;
  MatrixLayout layout;
};

// c[m, n] = a[m, k] · b[k, n] + bias, or += without bias; a and b of
// `in_dtype`. See MatmulArgs. `bias` may be null.
struct Gemm {
  int64_t m, n, k;
  DType in_dtype;
  GemmOperand a, b;
  const void* bias;
  DType bias_dtype;
  bool accumulate;
  void* c;
  DType c_dtype;
  int64_t c_ld;
};

// `args` have been checked by the op.
Gemm MakeGemm(const MatmulArgs& args);

// A provider; called with m, n, k >= 1.
using GemmFunction = absl::Status (*)(const Gemm&, Device&);

// What is left of a product without terms (k = 0): bias, zero, or c itself.
void FinishEmptyProduct(const Gemm& gemm);

// Converts operands and bias to f32, calls `provider` with f32 alone, and
// rounds the result to c's dtype. A 16-bit c goes block by block of rows, so
// that its f32 copy stays small. Blocks depend on the shape alone. All buffers
// come from `device`.
absl::Status GemmInF32(const Gemm& gemm, Device& device, GemmFunction provider);
// Bytes of those buffers.
int64_t GemmInF32Bytes(const Gemm& gemm);

// A product of such a cost, dense, without bias or data.
Gemm GemmOfCost(const OpCost& cost);

}  // namespace eisbach::ops::cpu
