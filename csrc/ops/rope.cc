#include "ops/rope.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/document_starts.h"
#include "ops/embedding.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(RopeSlot, RopeKernel, "rope")

namespace {

absl::Status CheckEven(int64_t head_dim) {
  if (head_dim >= 2 && head_dim % 2 == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "rope: head_dim=", head_dim, " must be even and positive; nearest: ",
      head_dim < 2 ? 2 : head_dim + 1));
}

}  // namespace

absl::StatusOr<Tensor> RopeTable(int64_t context, int64_t head_dim,
                                 const RopeOptions& options, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckEven(head_dim));
  EISBACH_RETURN_IF_ERROR(CheckRope(options, head_dim));
  if (context < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("rope: context=", context, " must not be negative"));
  }
  const int64_t half = RotatedWidth(options, head_dim) / 2;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor table,
      Tensor::Empty(Shape{context, half, 2}, DType::kF32, stream.device()));
  if (stream.device().type() == DeviceType::kMeta) return table;
  std::vector<float> values(context * half * 2);
  const std::vector<double> frequencies =
      RopeFrequencies(options, head_dim, context);
  const double amplitude = RopeAmplitude(options);
  for (int64_t i = 0; i < half; ++i) {
    const double frequency = frequencies[i];
    for (int64_t t = 0; t < context; ++t) {
      float* pair = &values[(t * half + i) * 2];
      pair[0] = static_cast<float>(amplitude * std::cos(t * frequency));
      pair[1] = static_cast<float>(amplitude * std::sin(t * frequency));
    }
  }
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToDevice(
      table.raw(), values.data(), table.bytes(), stream));
  // `values` goes away with this call.
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return table;
}

absl::Status Rope(const Tensor& qkv, const AttentionHeads& heads,
                  const Tensor& table, bool inverse, Stream& stream,
                  const Tensor& starts) {
  const OpCheck check("rope", stream);
  EISBACH_RETURN_IF_ERROR(CheckHeads("rope", heads));
  EISBACH_RETURN_IF_ERROR(CheckEven(heads.head_dim));
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("qkv", qkv));
  if (qkv.rank() != 3 || qkv.dim(2) != heads.packed_width()) {
    return absl::InvalidArgumentError(absl::StrCat("rope: qkv=", qkv.ToString(),
                                                   " must be [B, T, ",
                                                   heads.packed_width(), "]"));
  }
  EISBACH_RETURN_IF_ERROR(check.Dense("table", table, DType::kF32));
  if (table.rank() != 3 || table.dim(0) < qkv.dim(1) || table.dim(1) < 1 ||
      table.dim(1) > heads.head_dim / 2 || table.dim(2) != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rope: table=", table.ToString(), " must be [context >= ", qkv.dim(1),
        ", up to ", heads.head_dim / 2, ", 2]"));
  }
  if (starts.defined()) {
    EISBACH_RETURN_IF_ERROR(
        CheckStarts("rope", starts, Shape{qkv.dim(0), qkv.dim(1)}, stream));
  }
  const int64_t width = 2 * table.dim(1);
  const double rotated =
      static_cast<double>(qkv.dim(0) * qkv.dim(1)) *
      static_cast<double>((heads.heads + heads.kv_heads) * width);
  OpCost cost;
  cost.dtype = qkv.dtype();
  cost.flops = 3 * rotated;
  cost.bytes_written = rotated * static_cast<double>(SizeOf(qkv.dtype()));
  cost.bytes_read = cost.bytes_written +
                    static_cast<double>(qkv.dim(1) * width) * sizeof(float);
  return RopeSlot().Run({qkv, heads, table, inverse, starts}, cost, stream);
}

absl::Status RopeAt(const Tensor& qkv, const AttentionHeads& heads,
                    const Tensor& table, const Tensor& positions, bool inverse,
                    Stream& stream) {
  const OpCheck check("rope", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("qkv", qkv));
  EISBACH_RETURN_IF_ERROR(check.Dense("table", table, DType::kF32));
  if (qkv.rank() != 3 || table.rank() != 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rope: qkv=", qkv.ToString(), " must be [B, T, ", heads.packed_width(),
        "] and table=", table.ToString(), " [context, pairs, 2]"));
  }
  EISBACH_RETURN_IF_ERROR(check.Dense("positions", positions, DType::kI32,
                                      Shape{qkv.dim(0), qkv.dim(1)}));
  // A row of angles a token, of one long row of tokens.
  const int64_t tokens = positions.elements();
  EISBACH_ASSIGN_OR_RETURN(const Tensor ids, positions.View(Shape{tokens}));
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor rows,
      table.View(Shape{table.dim(0), table.dim(1) * table.dim(2)}));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor angles,
      EmbeddingForward(ids, rows, /*first_row=*/0, rows.dim(0), stream));
  EISBACH_ASSIGN_OR_RETURN(
      angles, angles.View(Shape{tokens, table.dim(1), table.dim(2)}));
  EISBACH_ASSIGN_OR_RETURN(const Tensor row,
                           qkv.View(Shape{1, tokens, qkv.dim(2)}));
  return Rope(row, heads, angles, inverse, stream);
}

}  // namespace eisbach::ops
