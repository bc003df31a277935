#include "ops/muon.h"

#include "core/status_macros.h"
#include "ops/flat_range.h"
#include "ops/optimizer.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(MuonMomentumSlot, MuonMomentumKernel, "muon_momentum")
EISBACH_DEFINE_KERNEL(MuonStepSlot, MuonStepKernel, "muon_step")
EISBACH_DEFINE_KERNEL(DivideByRootSlot, DivideByRootKernel, "divide_by_root")
EISBACH_DEFINE_KERNEL(BlendSlot, BlendKernel, "blend")

absl::Status MuonMomentum(const MuonMomentumArgs& args, Stream& stream) {
  const OpCheck check("muon_momentum", stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("grad", args.grad, DType::kF32));
  const Shape& shape = args.grad.shape();
  EISBACH_RETURN_IF_ERROR(check.Dense("m", args.m, DType::kF32, shape));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("direction", args.direction, DType::kF32, shape));
  EISBACH_RETURN_IF_ERROR(check.Dense("step_state", args.step_state,
                                      DType::kF32, Shape{kStepStateSize}));
  const double bytes = static_cast<double>(args.grad.bytes());
  return MuonMomentumSlot().Run(args,
                                {.flops = 8.0 * args.grad.elements(),
                                 .bytes_read = 2 * bytes,
                                 .bytes_written = 2 * bytes},
                                stream);
}

absl::Status MuonStep(const MuonStepArgs& args, Stream& stream) {
  const OpCheck check("muon_step", stream);
  EISBACH_RETURN_IF_ERROR(CheckFlatRange("muon_step", check, args.master,
                                         args.data, args.step_state));
  EISBACH_RETURN_IF_ERROR(check.Dense("direction", args.direction, DType::kF32,
                                      args.master.shape()));
  const double bytes = static_cast<double>(args.master.bytes());
  return MuonStepSlot().Run(
      args,
      {.flops = 4.0 * args.master.elements(),
       .bytes_read = 2 * bytes,
       .bytes_written = bytes + DataBytes(args.master, args.data)},
      stream);
}

absl::Status DivideByRoot(const Tensor& x, const Tensor& square, float least,
                          const Tensor& out, Stream& stream) {
  const OpCheck check("divide_by_root", stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("x", x, DType::kF32));
  EISBACH_RETURN_IF_ERROR(check.Dense("square", square, DType::kF64, Shape{1}));
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("out", out));
  EISBACH_RETURN_IF_ERROR(check.SameShape("out", out, x.shape()));
  return DivideByRootSlot().Run(
      {.x = x, .square = square, .least = least, .out = out},
      {.flops = static_cast<double>(x.elements()),
       .bytes_read = static_cast<double>(x.bytes() + square.bytes()),
       .bytes_written = static_cast<double>(out.bytes())},
      stream);
}

absl::Status Blend(float a, const Tensor& x, float b, const Tensor& y,
                   Stream& stream) {
  const OpCheck check("blend", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.Dense("y", y, x.dtype(), x.shape()));
  const double bytes = static_cast<double>(x.bytes());
  return BlendSlot().Run({.a = a, .x = x, .b = b, .y = y},
                         {.flops = 3.0 * x.elements(),
                          .bytes_read = 2 * bytes,
                          .bytes_written = bytes},
                         stream);
}

}  // namespace eisbach::ops
