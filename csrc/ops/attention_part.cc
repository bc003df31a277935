#include "ops/attention_part.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(AttentionPartSlot, AttentionPartKernel, "attention_part",
                      OpClass::kAttention)
EISBACH_DEFINE_KERNEL(AttentionPartBackwardSlot, AttentionPartBackwardKernel,
                      "attention_part_backward", OpClass::kAttention)

namespace {

absl::Status CheckSpan(absl::string_view op, absl::string_view name,
                       const AttentionSpan& span, int64_t rows) {
  if (span.row >= 0 && span.count >= 0 && span.position >= 0 &&
      span.row + span.count <= rows) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      op, ": ", name, " are rows [", span.row, ", ", span.row + span.count,
      ") from position ", span.position, " of a tensor of ", rows, " rows"));
}

// What both passes read; `Args` are those of either.
template <typename Args>
absl::Status CheckPart(absl::string_view op, const Args& args, Stream& stream) {
  const OpCheck check(op, stream);
  const AttentionHeads& heads = args.heads;
  EISBACH_RETURN_IF_ERROR(CheckHeads(op, heads));
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("qkv", args.qkv));
  if (args.qkv.rank() != 3 || args.qkv.dim(2) != heads.packed_width()) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": qkv=", args.qkv.ToString(), " must be [B, T, ",
                     heads.packed_width(), "]"));
  }
  const int64_t batch = args.qkv.dim(0);
  EISBACH_RETURN_IF_ERROR(
      check.Dense("keys_values", args.keys_values, args.qkv.dtype()));
  if (args.keys_values.rank() != 3 || args.keys_values.dim(0) != batch ||
      args.keys_values.dim(2) != 2 * heads.kv_heads * heads.head_dim) {
    return absl::InvalidArgumentError(absl::StrCat(
        op, ": keys_values=", args.keys_values.ToString(), " must be [", batch,
        ", T, ", 2 * heads.kv_heads * heads.head_dim, "]"));
  }
  EISBACH_RETURN_IF_ERROR(
      CheckSpan(op, "queries", args.queries, args.qkv.dim(1)));
  EISBACH_RETURN_IF_ERROR(
      CheckSpan(op, "keys", args.keys, args.keys_values.dim(1)));
  if (args.options.window < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        op, ": window=", args.options.window, " must not be negative"));
  }
  if (!args.options.starts.defined()) return absl::OkStatus();
  return check.Dense("starts", args.options.starts, DType::kI32,
                     Shape{batch, args.qkv.dim(1)});
}

Shape OutShape(const Tensor& qkv, const AttentionHeads& heads) {
  return Shape{qkv.dim(0), qkv.dim(1), heads.heads * heads.head_dim};
}

Shape LogShape(const Tensor& qkv, const AttentionHeads& heads) {
  return Shape{qkv.dim(0), heads.heads, qkv.dim(1)};
}

// The sum of clamp(y, 0, most) over all y <= x.
double SumOfClamped(int64_t x, int64_t most) {
  if (x <= 0) return 0;
  const double y = static_cast<double>(x), n = static_cast<double>(most);
  return x <= most ? y * (y + 1) / 2 : n * (n + 1) / 2 + (y - n) * n;
}

// FLOPs of `products` products of all pairs with the head dimension.
template <typename Args>
OpCost CostOf(const Args& args, int products) {
  const double pairs =
      AttentionPairs(args.queries, args.keys, args.options.window);
  const AttentionHeads& heads = args.heads;
  const double batch = static_cast<double>(args.qkv.dim(0));
  const double width = static_cast<double>(heads.heads * heads.head_dim);
  const double key_width = static_cast<double>(args.keys_values.dim(2));
  const double size = static_cast<double>(SizeOf(args.qkv.dtype()));
  const double queries = static_cast<double>(args.queries.count) * width;
  OpCost cost;
  cost.flops = 2.0 * products * batch * width * pairs;
  cost.dtype = args.qkv.dtype();
  cost.columns = heads.head_dim;
  cost.bytes_read =
      batch * size *
      (queries + static_cast<double>(args.keys.count) * key_width);
  cost.bytes_written = batch * queries * sizeof(float);
  return cost;
}

}  // namespace

double AttentionPairs(const AttentionSpan& queries, const AttentionSpan& keys,
                      int64_t window) {
  // Of the query at position p: clamp(p + 1 - first key) less, of these, those
  // that are before its window.
  const int64_t first = queries.position - keys.position;
  const auto sum = [&](int64_t shift) {
    return SumOfClamped(first + queries.count - 1 + shift, keys.count) -
           SumOfClamped(first - 1 + shift, keys.count);
  };
  return window == 0 ? sum(1) : sum(1) - sum(1 - window);
}

absl::Status AttentionPart(const AttentionPartArgs& args, Stream& stream) {
  constexpr absl::string_view kOp = "attention_part";
  EISBACH_RETURN_IF_ERROR(CheckPart(kOp, args, stream));
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("out", args.out, DType::kF32,
                                      OutShape(args.qkv, args.heads)));
  EISBACH_RETURN_IF_ERROR(check.Dense("lse", args.lse, DType::kF32,
                                      LogShape(args.qkv, args.heads)));
  return AttentionPartSlot().Run(args, CostOf(args, 2), stream);
}

absl::Status AttentionPartBackward(const AttentionPartBackwardArgs& args,
                                   Stream& stream) {
  constexpr absl::string_view kOp = "attention_part_backward";
  EISBACH_RETURN_IF_ERROR(CheckPart(kOp, args, stream));
  const OpCheck check(kOp, stream);
  const Shape out = OutShape(args.qkv, args.heads);
  const DType dtype = args.qkv.dtype();
  EISBACH_RETURN_IF_ERROR(check.Dense("dout", args.dout, dtype, out));
  EISBACH_RETURN_IF_ERROR(check.Dense("out", args.out, dtype, out));
  EISBACH_RETURN_IF_ERROR(check.Dense("lse", args.lse, DType::kF32,
                                      LogShape(args.qkv, args.heads)));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("dqueries", args.dqueries, DType::kF32, out));
  EISBACH_RETURN_IF_ERROR(check.Dense("dkeys_values", args.dkeys_values,
                                      DType::kF32, args.keys_values.shape()));
  return AttentionPartBackwardSlot().Run(args, CostOf(args, 5), stream);
}

}  // namespace eisbach::ops
