#include "ops/attention.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/document_starts.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(AttentionForwardSlot, AttentionForwardKernel,
                      "attention_forward", OpClass::kAttention)
EISBACH_DEFINE_KERNEL(AttentionBackwardSlot, AttentionBackwardKernel,
                      "attention_backward", OpClass::kAttention)

namespace {

// What multiplies or bounds scores; written so that NaN is refused.
absl::Status CheckScoreFactor(absl::string_view op, absl::string_view name,
                              double value) {
  if (value == 0 || (value >= kLeastScoreFactor && value <= kMostScoreFactor)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(op, ": ", name, "=", value, " must be 0 or between ",
                   kLeastScoreFactor, " and ", kMostScoreFactor));
}

absl::Status CheckPacked(absl::string_view op, const Tensor& qkv,
                         const AttentionHeads& heads,
                         const AttentionOptions& options, Stream& stream) {
  const OpCheck check(op, stream);
  EISBACH_RETURN_IF_ERROR(CheckHeads(op, heads));
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("qkv", qkv));
  if (qkv.rank() != 3 || qkv.dim(2) != heads.packed_width()) {
    return absl::InvalidArgumentError(absl::StrCat(
        op, ": qkv=", qkv.ToString(), " must be [B, T, ", heads.packed_width(),
        "], (heads=", heads.heads, " + 2 * kv_heads=", heads.kv_heads,
        ") * head_dim=", heads.head_dim));
  }
  if (options.window < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": window=", options.window, " must not be negative"));
  }
  EISBACH_RETURN_IF_ERROR(CheckScoreFactor(op, "scale", options.scale));
  EISBACH_RETURN_IF_ERROR(CheckScoreFactor(op, "cap", options.cap));
  if (!options.starts.defined()) return absl::OkStatus();
  return CheckStarts(op, options.starts, Shape{qkv.dim(0), qkv.dim(1)}, stream);
}

// FLOPs of one product of all pairs that a query may see with the head
// dimension. Documents are not discounted: where they lie is data.
double CausalProduct(const Tensor& qkv, const AttentionHeads& heads,
                     const AttentionOptions& options) {
  const double t = static_cast<double>(qkv.dim(1));
  const double seen = options.window == 0
                          ? t
                          : std::min(t, static_cast<double>(options.window));
  const double twice_pairs = seen * (seen + 1) + 2 * (t - seen) * seen;
  return static_cast<double>(qkv.dim(0) * heads.heads * heads.head_dim) *
         twice_pairs;
}

}  // namespace

double AttentionOptions::ScaleFor(int64_t head_dim) const {
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(head_dim));
}

absl::Status CheckHeads(absl::string_view op, const AttentionHeads& heads) {
  if (heads.heads < 1 || heads.kv_heads < 1 || heads.head_dim < 1 ||
      heads.group < 1 || heads.query_offset < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        op, ": heads=", heads.heads, ", kv_heads=", heads.kv_heads,
        ", head_dim=", heads.head_dim, ", group=", heads.group,
        " must be at least 1 and query_offset=", heads.query_offset,
        " at least 0"));
  }
  const int64_t last = heads.kv_head_of(heads.heads - 1);
  if (last >= heads.kv_heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        op, ": query head ", heads.heads - 1, " reads key/value head ", last,
        " (group=", heads.group, ", query_offset=", heads.query_offset,
        "), but kv_heads=", heads.kv_heads));
  }
  return absl::OkStatus();
}

absl::StatusOr<AttentionOutput> AttentionForward(
    const Tensor& qkv, const AttentionHeads& heads, Stream& stream,
    const AttentionOptions& options) {
  EISBACH_RETURN_IF_ERROR(
      CheckPacked("attention_forward", qkv, heads, options, stream));
  const int64_t batch = qkv.dim(0), length = qkv.dim(1);
  AttentionOutput output;
  EISBACH_ASSIGN_OR_RETURN(
      output.out,
      Tensor::Empty(Shape{batch, length, heads.heads * heads.head_dim},
                    qkv.dtype(), stream.device()));
  EISBACH_ASSIGN_OR_RETURN(
      output.lse, Tensor::Empty(Shape{batch, heads.heads, length}, DType::kF32,
                                stream.device()));
  OpCost cost;
  cost.flops = 2 * CausalProduct(qkv, heads, options);
  cost.dtype = qkv.dtype();
  cost.columns = heads.head_dim;
  cost.bytes_read = static_cast<double>(qkv.bytes());
  cost.bytes_written =
      static_cast<double>(output.out.bytes() + output.lse.bytes());
  EISBACH_RETURN_IF_ERROR(AttentionForwardSlot().Run(
      {qkv, heads, output.out, output.lse, options}, cost, stream));
  return output;
}

absl::StatusOr<Tensor> AttentionBackward(const Tensor& dout, const Tensor& qkv,
                                         const Tensor& out, const Tensor& lse,
                                         const AttentionHeads& heads,
                                         Stream& stream,
                                         const AttentionOptions& options) {
  constexpr absl::string_view kOp = "attention_backward";
  EISBACH_RETURN_IF_ERROR(CheckPacked(kOp, qkv, heads, options, stream));
  const OpCheck check(kOp, stream);
  const int64_t batch = qkv.dim(0), length = qkv.dim(1);
  const Shape out_shape{batch, length, heads.heads * heads.head_dim};
  EISBACH_RETURN_IF_ERROR(check.Dense("dout", dout, qkv.dtype(), out_shape));
  EISBACH_RETURN_IF_ERROR(check.Dense("out", out, qkv.dtype(), out_shape));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("lse", lse, DType::kF32, Shape{batch, heads.heads, length}));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor dqkv, Tensor::Empty(qkv.shape(), qkv.dtype(), stream.device()));
  OpCost cost;
  cost.flops = 5 * CausalProduct(qkv, heads, options);
  cost.dtype = qkv.dtype();
  cost.columns = heads.head_dim;
  cost.bytes_read = static_cast<double>(dout.bytes() + qkv.bytes() +
                                        out.bytes() + lse.bytes());
  cost.bytes_written = static_cast<double>(dqkv.bytes());
  EISBACH_RETURN_IF_ERROR(AttentionBackwardSlot().Run(
      {dout, qkv, out, lse, heads, dqkv, options}, cost, stream));
  return dqkv;
}

}  // namespace eisbach::ops
