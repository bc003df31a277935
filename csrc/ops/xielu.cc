#include "ops/xielu.h"

#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(XieluForwardSlot, XieluForwardKernel, "xielu_forward")
EISBACH_DEFINE_KERNEL(XieluBackwardSlot, XieluBackwardKernel, "xielu_backward")

namespace {

// Operations an element; an exponential counts as one.
constexpr double kXieluForwardFlops = 9;
constexpr double kXieluBackwardFlops = 16;

absl::Status CheckXielu(const OpCheck& check, const Tensor& x,
                        const Tensor& alpha_p, const Tensor& alpha_n) {
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.Dense("alpha_p", alpha_p, x.dtype(), Shape{1}));
  return check.Dense("alpha_n", alpha_n, x.dtype(), Shape{1});
}

}  // namespace

absl::StatusOr<Tensor> XieluForward(const Tensor& x, const Tensor& alpha_p,
                                    const Tensor& alpha_n, Stream& stream) {
  const OpCheck check("xielu_forward", stream);
  EISBACH_RETURN_IF_ERROR(CheckXielu(check, x, alpha_p, alpha_n));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(x.shape(), x.dtype(), stream.device()));
  const double bytes = static_cast<double>(x.bytes());
  EISBACH_RETURN_IF_ERROR(XieluForwardSlot().Run(
      {.x = x, .alpha_p = alpha_p, .alpha_n = alpha_n, .y = y},
      {.flops = kXieluForwardFlops * x.elements(),
       .bytes_read = bytes,
       .bytes_written = bytes,
       .dtype = x.dtype()},
      stream));
  return y;
}

absl::StatusOr<Tensor> XieluBackward(const Tensor& dy, const Tensor& x,
                                     const Tensor& alpha_p,
                                     const Tensor& alpha_n, bool accumulate,
                                     const Tensor& dalpha_p,
                                     const Tensor& dalpha_n, Stream& stream) {
  const OpCheck check("xielu_backward", stream);
  EISBACH_RETURN_IF_ERROR(CheckXielu(check, x, alpha_p, alpha_n));
  EISBACH_RETURN_IF_ERROR(check.Dense("dy", dy, x.dtype(), x.shape()));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("dalpha_p", dalpha_p, DType::kF32, Shape{1}));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("dalpha_n", dalpha_n, DType::kF32, Shape{1}));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor dx, Tensor::Empty(x.shape(), x.dtype(), stream.device()));
  const double bytes = static_cast<double>(x.bytes());
  EISBACH_RETURN_IF_ERROR(
      XieluBackwardSlot().Run({.dy = dy,
                               .x = x,
                               .alpha_p = alpha_p,
                               .alpha_n = alpha_n,
                               .accumulate = accumulate,
                               .dalpha_p = dalpha_p,
                               .dalpha_n = dalpha_n,
                               .dx = dx},
                              {.flops = kXieluBackwardFlops * x.elements(),
                               .bytes_read = 2 * bytes,
                               .bytes_written = bytes,
                               .dtype = x.dtype()},
                              stream));
  return dx;
}

}  // namespace eisbach::ops
