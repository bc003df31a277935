#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Layer norm (Ba et al., arXiv:1607.06450) and RMS norm (Zhang and Sennrich,
// arXiv:1910.07467) over the last dimension, with the residual sum fused:
//
//   sum = x + residual                       (sum is x itself without residual)
//   layer: y = (sum - mean) * rstd * weight + bias, rstd = 1/sqrt(var + eps)
//   rms:   y = sum * rstd * weight,          rstd = 1/sqrt(mean(sum^2) + eps)
//   rms plus one: the same with 1 + weight, added in f32 (Gemma,
//          arXiv:2403.08295)
//
// x, residual, sum, y: [..., H] in the compute dtype, contiguous; weight, bias
// [H] in the compute dtype; mean, rstd: f32 [rows]. Statistics are in f32. When
// `sum` is stored in bf16, y is computed from the rounded sum, so that backward
// sees what forward saw. RMS norm has neither bias nor mean (null).
enum class NormKind : uint8_t { kLayer, kRms, kRmsPlusOne };

// What is added to each weight.
inline float WeightShift(NormKind kind) {
  return kind == NormKind::kRmsPlusOne ? 1.0f : 0.0f;
}

struct NormForwardArgs {
  NormKind kind;
  float eps;
  const Tensor& x;
  const Tensor* residual;
  const Tensor& weight;
  const Tensor* bias;
  const Tensor* sum;  // null without residual
  const Tensor& y;
  const Tensor* mean;
  const Tensor& rstd;
};
using NormForwardKernel = KernelSlot<NormForwardArgs>;
NormForwardKernel& NormForwardSlot();

struct NormOutput {
  Tensor sum;
  Tensor y;
  Tensor mean;  // undefined for RMS norm
  Tensor rstd;
};
// `eps` is 0 or what f32 holds.
absl::StatusOr<NormOutput> NormForward(NormKind kind, double eps,
                                       const Tensor& x, const Tensor* residual,
                                       const Tensor& weight, const Tensor* bias,
                                       Stream& stream);

// y once more, in the same bits, from what NormForward returned.
struct NormalizeArgs {
  const Tensor& sum;
  const Tensor& weight;
  const Tensor* bias;
  const Tensor* mean;
  const Tensor& rstd;
  const Tensor& y;
  NormKind kind = NormKind::kRms;  // how weights are read
};
using NormalizeKernel = KernelSlot<NormalizeArgs>;
NormalizeKernel& NormalizeSlot();

absl::StatusOr<Tensor> Normalize(NormKind kind, const Tensor& sum,
                                 const Tensor& weight, const Tensor* bias,
                                 const Tensor* mean, const Tensor& rstd,
                                 Stream& stream);

// dx = gradient of y through the norm, plus dsum (the gradient that reaches
// `sum` past the norm; null for none). It is the gradient of x and of residual
// alike. dweight and dbias (f32 [H]) are overwritten, or added to when
// `accumulate`; their sums over rows do not depend on the thread count.
struct NormBackwardArgs {
  NormKind kind;
  const Tensor& dy;
  const Tensor* dsum;
  const Tensor& sum;
  const Tensor& weight;
  const Tensor* mean;
  const Tensor& rstd;
  bool accumulate;
  const Tensor& dweight;
  const Tensor* dbias;
  const Tensor& dx;
};
using NormBackwardKernel = KernelSlot<NormBackwardArgs>;
NormBackwardKernel& NormBackwardSlot();

absl::StatusOr<Tensor> NormBackward(NormKind kind, const Tensor& dy,
                                    const Tensor* dsum, const Tensor& sum,
                                    const Tensor& weight, const Tensor* mean,
                                    const Tensor& rstd, bool accumulate,
                                    const Tensor& dweight, const Tensor* dbias,
                                    Stream& stream);

}  // namespace eisbach::ops
