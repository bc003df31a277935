#pragma once

#include "absl/status/status.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

// The elementwise parts of Muon (optim/muon.h); its products are ops/matmul.h.
namespace eisbach::ops {

// Of a flat range, all f32 [n]:
//   g = factor * grad;  m = momentum m + (1 - momentum) g
//   direction = nesterov ? momentum m + (1 - momentum) g : m
// Where kFinite is 0 (ops/optimizer.h) m stays and the direction is 0.
struct MuonMomentumArgs {
  const Tensor& grad;
  const Tensor& m;
  const Tensor& direction;
  const Tensor& step_state;
  double momentum;  // in [0, 1); see ops/decay.h
  bool nesterov;
};
using MuonMomentumKernel = KernelSlot<MuonMomentumArgs>;
MuonMomentumKernel& MuonMomentumSlot();
absl::Status MuonMomentum(const MuonMomentumArgs& args, Stream& stream);

// Of a flat range: master -= lr * (direction + weight_decay * master), with
// lr = rate_factor * that of the step; data = master, rounded to the compute
// dtype (skipped where data is master). Nothing where kFinite is 0.
struct MuonStepArgs {
  const Tensor& master;
  const Tensor& direction;  // f32 [n]
  const Tensor& data;
  const Tensor& step_state;
  float weight_decay;
  float rate_factor = 1;
};
using MuonStepKernel = KernelSlot<MuonStepArgs>;
MuonStepKernel& MuonStepSlot();
absl::Status MuonStep(const MuonStepArgs& args, Stream& stream);

// out = x / max(sqrt(square), least), rounded to the dtype of `out` (float). x:
// f32; both contiguous, of one shape. square: f64 [1], in device memory.
struct DivideByRootArgs {
  const Tensor& x;
  const Tensor& square;
  float least;
  const Tensor& out;
};
using DivideByRootKernel = KernelSlot<DivideByRootArgs>;
DivideByRootKernel& DivideByRootSlot();
absl::Status DivideByRoot(const Tensor& x, const Tensor& square, float least,
                          const Tensor& out, Stream& stream);

// y = a x + b y, in f32 and rounded once. Of one shape and float dtype,
// contiguous.
struct BlendArgs {
  float a;
  const Tensor& x;
  float b;
  const Tensor& y;
};
using BlendKernel = KernelSlot<BlendArgs>;
BlendKernel& BlendSlot();
absl::Status Blend(float a, const Tensor& x, float b, const Tensor& y,
                   Stream& stream);

}  // namespace eisbach::ops
