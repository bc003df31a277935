#include "ops/activation.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(GeluForwardSlot, GeluForwardKernel, "gelu_forward")
EISBACH_DEFINE_KERNEL(GeluBackwardSlot, GeluBackwardKernel, "gelu_backward")
EISBACH_DEFINE_KERNEL(SwigluForwardSlot, SwigluForwardKernel, "swiglu_forward")
EISBACH_DEFINE_KERNEL(SwigluBackwardSlot, SwigluBackwardKernel,
                      "swiglu_backward")

namespace {

// Operations an element; an exponential and a division count as one each.
constexpr double kGeluForwardFlops = 9;
constexpr double kGeluBackwardFlops = 17;
constexpr double kSwigluForwardFlops = 5;
constexpr double kSwigluBackwardFlops = 11;

// With one more product forward, three backward.
double ForwardFlops(Gate gate) {
  return gate == Gate::kGelu ? kGeluForwardFlops + 1 : kSwigluForwardFlops;
}
double BackwardFlops(Gate gate) {
  return gate == Gate::kGelu ? kGeluBackwardFlops + 3 : kSwigluBackwardFlops;
}

// The shape of y for a packed gate_up.
absl::StatusOr<Shape> SwigluShape(const OpCheck& check, absl::string_view op,
                                  const Tensor& gate_up) {
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("gate_up", gate_up));
  EISBACH_RETURN_IF_ERROR(check.MinRank("gate_up", gate_up, 1));
  if (gate_up.dim(-1) % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": gate_up=", gate_up.ToString(),
                     " must have an even last dimension, gate then up"));
  }
  Shape shape = gate_up.shape();
  shape.Set(-1, gate_up.dim(-1) / 2);
  return shape;
}

}  // namespace

absl::StatusOr<Tensor> GeluForward(const Tensor& x, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(OpCheck("gelu_forward", stream).DenseFloat("x", x));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(x.shape(), x.dtype(), stream.device()));
  const double bytes = static_cast<double>(x.bytes());
  EISBACH_RETURN_IF_ERROR(
      GeluForwardSlot().Run({.x = x, .y = y},
                            {.flops = kGeluForwardFlops * x.elements(),
                             .bytes_read = bytes,
                             .bytes_written = bytes,
                             .dtype = x.dtype()},
                            stream));
  return y;
}

absl::StatusOr<Tensor> GeluBackward(const Tensor& dy, const Tensor& x,
                                    Stream& stream) {
  const OpCheck check("gelu_backward", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.Dense("dy", dy, x.dtype(), x.shape()));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor dx, Tensor::Empty(x.shape(), x.dtype(), stream.device()));
  const double bytes = static_cast<double>(x.bytes());
  EISBACH_RETURN_IF_ERROR(
      GeluBackwardSlot().Run({.dy = dy, .x = x, .dx = dx},
                             {.flops = kGeluBackwardFlops * x.elements(),
                              .bytes_read = 2 * bytes,
                              .bytes_written = bytes,
                              .dtype = x.dtype()},
                             stream));
  return dx;
}

absl::StatusOr<Tensor> SwigluForward(const Tensor& gate_up, Stream& stream,
                                     Gate gate) {
  const OpCheck check("swiglu_forward", stream);
  EISBACH_ASSIGN_OR_RETURN(Shape shape,
                           SwigluShape(check, "swiglu_forward", gate_up));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(shape, gate_up.dtype(), stream.device()));
  EISBACH_RETURN_IF_ERROR(SwigluForwardSlot().Run(
      {.gate_up = gate_up, .y = y, .gate = gate},
      {.flops = ForwardFlops(gate) * y.elements(),
       .bytes_read = static_cast<double>(gate_up.bytes()),
       .bytes_written = static_cast<double>(y.bytes()),
       .dtype = gate_up.dtype()},
      stream));
  return y;
}

absl::StatusOr<Tensor> SwigluBackward(const Tensor& dy, const Tensor& gate_up,
                                      Stream& stream, Gate gate) {
  const OpCheck check("swiglu_backward", stream);
  EISBACH_ASSIGN_OR_RETURN(Shape shape,
                           SwigluShape(check, "swiglu_backward", gate_up));
  EISBACH_RETURN_IF_ERROR(check.Dense("dy", dy, gate_up.dtype(), shape));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor dgate_up,
      Tensor::Empty(gate_up.shape(), gate_up.dtype(), stream.device()));
  const double bytes = static_cast<double>(gate_up.bytes());
  EISBACH_RETURN_IF_ERROR(SwigluBackwardSlot().Run(
      {.dy = dy, .gate_up = gate_up, .dgate_up = dgate_up, .gate = gate},
      {.flops = BackwardFlops(gate) * dy.elements(),
       .bytes_read = bytes + dy.bytes(),
       .bytes_written = bytes,
       .dtype = gate_up.dtype()},
      stream));
  return dgate_up;
}

}  // namespace eisbach::ops
