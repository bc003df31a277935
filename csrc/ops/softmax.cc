#include "ops/softmax.h"

#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(SoftmaxForwardSlot, SoftmaxForwardKernel,
                      "softmax_forward")
EISBACH_DEFINE_KERNEL(SoftmaxBackwardSlot, SoftmaxBackwardKernel,
                      "softmax_backward")

namespace {

constexpr double kFlops = 5;

}  // namespace

absl::StatusOr<Tensor> SoftmaxForward(const Tensor& x, Stream& stream) {
  const OpCheck check("softmax_forward", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.MinRank("x", x, 1));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(x.shape(), x.dtype(), stream.device()));
  const double bytes = static_cast<double>(x.bytes());
  EISBACH_RETURN_IF_ERROR(
      SoftmaxForwardSlot().Run({.x = x, .y = y},
                               {.flops = kFlops * x.elements(),
                                .bytes_read = bytes,
                                .bytes_written = bytes},
                               stream));
  return y;
}

absl::StatusOr<Tensor> SoftmaxBackward(const Tensor& dy, const Tensor& y,
                                       Stream& stream) {
  const OpCheck check("softmax_backward", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("y", y));
  EISBACH_RETURN_IF_ERROR(check.MinRank("y", y, 1));
  EISBACH_RETURN_IF_ERROR(check.Dense("dy", dy, y.dtype(), y.shape()));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor dx, Tensor::Empty(y.shape(), y.dtype(), stream.device()));
  const double bytes = static_cast<double>(y.bytes());
  EISBACH_RETURN_IF_ERROR(
      SoftmaxBackwardSlot().Run({.dy = dy, .y = y, .dx = dx},
                                {.flops = kFlops * y.elements(),
                                 .bytes_read = 2 * bytes,
                                 .bytes_written = bytes},
                                stream));
  return dx;
}

}  // namespace eisbach::ops
