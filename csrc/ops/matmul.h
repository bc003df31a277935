#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// c[M, N] = a[M, K] · b[K, N] (+ bias[N]) (+ c when `accumulate`).
// Two-dimensional views; a and b may be transposed (either stride 1), c has
// rows of stride >= N and shares no memory with a or b. a and b are of one
// dtype (f32, bf16, f16); c is of that dtype or f32, and f32 where it
// accumulates; bias [N] is contiguous, of the dtype of a or f32. Products are
// accumulated in f32. A bias and `accumulate` exclude one another. With K = 0
// the product is zero.
struct MatmulArgs {
  const Tensor& a;
  const Tensor& b;
  const Tensor* bias;
  bool accumulate;
  const Tensor& c;
};
using MatmulKernel = KernelSlot<MatmulArgs>;
MatmulKernel& MatmulSlot();

// How a matrix view lies in memory: element (i, j) at i * ld + j, or at
// j * ld + i when transposed. `ld` is at least the inner size. Dimensions of
// size 1 may have any stride. InvalidArgument where neither stride is 1.
struct MatrixLayout {
  bool transposed;
  int64_t ld;
};
absl::StatusOr<MatrixLayout> LayoutOf(const Tensor& matrix);

absl::Status Matmul(const Tensor& a, const Tensor& b, const Tensor* bias,
                    bool accumulate, const Tensor& c, Stream& stream);

// The three products of y = x · w^T + bias, with w [N, K], and leading
// dimensions of x [..., K] and y [..., N] taken together as rows.
absl::StatusOr<Tensor> LinearForward(const Tensor& x, const Tensor& w,
                                     const Tensor* bias, Stream& stream);
absl::StatusOr<Tensor> LinearBackwardInput(const Tensor& dy, const Tensor& w,
                                           Stream& stream);
// dw (f32 [N, K]) is overwritten, or added to when `accumulate`; so is dbias
// (f32 [N], the sum of dy over rows; null for none) by its own flag.
struct LinearGradient {
  const Tensor& dw;
  bool accumulate;
  const Tensor* dbias = nullptr;
  bool accumulate_bias = false;
};
absl::Status LinearBackwardWeight(const Tensor& dy, const Tensor& x,
                                  const LinearGradient& gradient,
                                  Stream& stream);

// Both gradients by one kernel, for backends that have one and 16-bit operands
// that are not empty; elsewhere they are a matmul and a column sum. dy [M, N]
// and x [M, K], contiguous; a dbias.
struct LinearGradientArgs {
  const Tensor& dy;
  const Tensor& x;
  const LinearGradient& gradient;
};
using LinearGradientKernel = KernelSlot<LinearGradientArgs>;
LinearGradientKernel& LinearGradientSlot();

}  // namespace eisbach::ops
