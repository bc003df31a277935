#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// GELU by its tanh approximation (Hendrycks and Gimpel, arXiv:1606.08415):
// y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). Contiguous, any shape.
struct GeluForwardArgs {
  const Tensor& x;
  const Tensor& y;
};
using GeluForwardKernel = KernelSlot<GeluForwardArgs>;
GeluForwardKernel& GeluForwardSlot();
absl::StatusOr<Tensor> GeluForward(const Tensor& x, Stream& stream);

struct GeluBackwardArgs {
  const Tensor& dy;
  const Tensor& x;
  const Tensor& dx;  // may be dy itself
};
using GeluBackwardKernel = KernelSlot<GeluBackwardArgs>;
GeluBackwardKernel& GeluBackwardSlot();
absl::StatusOr<Tensor> GeluBackward(const Tensor& dy, const Tensor& x,
                                    Stream& stream);

// SwiGLU (Shazeer, arXiv:2002.05202) on a packed [..., 2F] tensor whose first
// half is the gate: y [..., F] = gate * sigmoid(gate) * up; or GEGLU there,
// y = gelu(gate) * up, by the tanh form.
enum class Gate : uint8_t { kSilu, kGelu };
struct SwigluForwardArgs {
  const Tensor& gate_up;
  const Tensor& y;
  Gate gate = Gate::kSilu;
};
using SwigluForwardKernel = KernelSlot<SwigluForwardArgs>;
SwigluForwardKernel& SwigluForwardSlot();
absl::StatusOr<Tensor> SwigluForward(const Tensor& gate_up, Stream& stream,
                                     Gate gate = Gate::kSilu);

struct SwigluBackwardArgs {
  const Tensor& dy;
  const Tensor& gate_up;
  const Tensor& dgate_up;
  Gate gate = Gate::kSilu;
};
using SwigluBackwardKernel = KernelSlot<SwigluBackwardArgs>;
SwigluBackwardKernel& SwigluBackwardSlot();
absl::StatusOr<Tensor> SwigluBackward(const Tensor& dy, const Tensor& gate_up,
                                      Stream& stream, Gate gate = Gate::kSilu);

}  // namespace eisbach::ops
