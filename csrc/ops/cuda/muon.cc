#include "ops/muon.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/muon_kernels.h"

namespace eisbach::ops {
namespace {

const cuda::StepState* StateOf(const Tensor& t) {
  return static_cast<const cuda::StepState*>(t.raw());
}

absl::Status MuonMomentum(const MuonMomentumArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchMuonMomentum(
      args.grad.data<float>(), args.m.data<float>(),
      args.direction.data<float>(), StateOf(args.step_state),
      MakeDecay(args.momentum), args.nesterov, args.grad.elements(),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status MuonStep(const MuonStepArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchMuonStep(
      cuda::ToType(args.data.dtype()), args.master.data<float>(),
      args.direction.data<float>(),
      args.data.raw() == args.master.raw() ? nullptr : args.data.raw(),
      StateOf(args.step_state), args.weight_decay, args.rate_factor,
      args.master.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status DivideByRoot(const DivideByRootArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchDivideByRoot(
      cuda::ToType(args.out.dtype()), args.x.data<float>(),
      args.square.data<double>(), args.least, args.out.raw(), args.x.elements(),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status Blend(const BlendArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchBlend(
      cuda::ToType(args.x.dtype()), args.a, args.x.raw(), args.b, args.y.raw(),
      args.x.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(MuonMomentumSlot, DeviceType::kCuda, &MuonMomentum);
EISBACH_REGISTER_KERNEL(MuonStepSlot, DeviceType::kCuda, &MuonStep);
EISBACH_REGISTER_KERNEL(DivideByRootSlot, DeviceType::kCuda, &DivideByRoot);
EISBACH_REGISTER_KERNEL(BlendSlot, DeviceType::kCuda, &Blend);

}  // namespace
}  // namespace eisbach::ops
