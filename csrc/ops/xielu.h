#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// xIELU (Huang and Schlag, arXiv:2411.13010; as Apertus has it), whose two
// slopes are learned. With p = softplus(alpha_p), n = beta + softplus(alpha_n):
//   x > 0:  y = p x^2 + beta x
//   else:   y = n (expm1(min(x, eps)) - x) + beta x
// The slope of the second is n expm1(min(x, eps)) + beta: that of x itself
// where eps is taken instead would jump by n between eps and 0, and rounding of
// an x there would change gradients. x, y: contiguous, any shape; alpha_p,
// alpha_n: [1], of x's dtype.
inline constexpr float kXieluBeta = 0.5f;
inline constexpr float kXieluEps = -1e-6f;

struct XieluForwardArgs {
  const Tensor& x;
  const Tensor& alpha_p;
  const Tensor& alpha_n;
  const Tensor& y;
};
using XieluForwardKernel = KernelSlot<XieluForwardArgs>;
XieluForwardKernel& XieluForwardSlot();
absl::StatusOr<Tensor> XieluForward(const Tensor& x, const Tensor& alpha_p,
                                    const Tensor& alpha_n, Stream& stream);

// dalpha_p, dalpha_n (f32 [1]) are overwritten, or added to when `accumulate`;
// their sums do not depend on the thread count.
struct XieluBackwardArgs {
  const Tensor& dy;
  const Tensor& x;
  const Tensor& alpha_p;
  const Tensor& alpha_n;
  bool accumulate;
  const Tensor& dalpha_p;
  const Tensor& dalpha_n;
  const Tensor& dx;
};
using XieluBackwardKernel = KernelSlot<XieluBackwardArgs>;
XieluBackwardKernel& XieluBackwardSlot();
absl::StatusOr<Tensor> XieluBackward(const Tensor& dy, const Tensor& x,
                                     const Tensor& alpha_p,
                                     const Tensor& alpha_n, bool accumulate,
                                     const Tensor& dalpha_p,
                                     const Tensor& dalpha_n, Stream& stream);

}  // namespace eisbach::ops
