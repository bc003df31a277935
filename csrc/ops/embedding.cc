#include "ops/embedding.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/ids.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(EmbeddingForwardSlot, EmbeddingForwardKernel,
                      "embedding_forward")
EISBACH_DEFINE_KERNEL(EmbeddingBackwardSlot, EmbeddingBackwardKernel,
                      "embedding_backward")
EISBACH_DEFINE_KERNEL(AddPositionSlot, AddPositionKernel, "add_position")
EISBACH_DEFINE_KERNEL(PositionBackwardSlot, PositionBackwardKernel,
                      "position_backward")

namespace {

absl::Status CheckTable(absl::string_view op, absl::string_view name,
                        const Tensor& t) {
  if (t.rank() == 2) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      op, ": ", name, "=", t.ToString(), " must have two dimensions"));
}

absl::Status CheckContext(absl::string_view op, int64_t positions,
                          int64_t context) {
  if (positions <= context) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      op, ": ", positions, " positions are more than context=", context,
      " (model.context)"));
}

}  // namespace

absl::StatusOr<Tensor> EmbeddingForward(const Tensor& ids, const Tensor& weight,
                                        int64_t first_row, int64_t vocab,
                                        Stream& stream) {
  const OpCheck check("embedding_forward", stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("ids", ids, DType::kI32));
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("weight", weight));
  EISBACH_RETURN_IF_ERROR(CheckTable("embedding_forward", "weight", weight));
  EISBACH_RETURN_IF_ERROR(CheckIds(IdKind::kToken, ids, vocab));
  absl::InlinedVector<int64_t, 4> dims(ids.shape().dims().begin(),
                                       ids.shape().dims().end());
  dims.push_back(weight.dim(1));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(Shape(absl::MakeConstSpan(dims)), weight.dtype(),
                              stream.device()));
  const double bytes = static_cast<double>(y.bytes());
  EISBACH_RETURN_IF_ERROR(
      EmbeddingForwardSlot().Run({.ids = ids,
                                  .weight = weight,
                                  .first_row = first_row,
                                  .vocab = vocab,
                                  .y = y},
                                 {.bytes_read = bytes + ids.bytes(),
                                  .bytes_written = bytes,
                                  .dtype = weight.dtype()},
                                 stream));
  return y;
}

absl::Status EmbeddingBackward(const Tensor& dy, const Tensor& ids,
                               int64_t first_row, int64_t vocab,
                               bool accumulate, const Tensor& dweight,
                               Stream& stream) {
  constexpr absl::string_view kOp = "embedding_backward";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("dy", dy));
  EISBACH_RETURN_IF_ERROR(check.MinRank("dy", dy, 1));
  EISBACH_RETURN_IF_ERROR(check.Dense("ids", ids, DType::kI32));
  EISBACH_RETURN_IF_ERROR(check.Dense("dweight", dweight, DType::kF32));
  EISBACH_RETURN_IF_ERROR(CheckTable(kOp, "dweight", dweight));
  EISBACH_RETURN_IF_ERROR(check.SameShape(
      "ids", ids, Shape(dy.shape().dims().subspan(0, dy.rank() - 1))));
  EISBACH_RETURN_IF_ERROR(
      check.SameShape("dweight", dweight, Shape{dweight.dim(0), dy.dim(-1)}));
  EISBACH_RETURN_IF_ERROR(CheckIds(IdKind::kToken, ids, vocab));
  // Each contribution reads and writes a row of dweight.
  const double sums = 4.0 * dy.elements();
  const double zeros = accumulate ? 0.0 : static_cast<double>(dweight.bytes());
  return EmbeddingBackwardSlot().Run(
      {.dy = dy,
       .ids = ids,
       .first_row = first_row,
       .accumulate = accumulate,
       .dweight = dweight},
      {.flops = static_cast<double>(dy.elements()),
       .bytes_read = sums + dy.bytes() + ids.bytes(),
       .bytes_written = sums + zeros,
       .dtype = dy.dtype()},
      stream);
}

absl::Status AddPosition(const Tensor& x, const Tensor& weight,
                         Stream& stream) {
  constexpr absl::string_view kOp = "add_position";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.MinRank("x", x, 2));
  EISBACH_RETURN_IF_ERROR(check.Dense("weight", weight, x.dtype()));
  EISBACH_RETURN_IF_ERROR(CheckTable(kOp, "weight", weight));
  EISBACH_RETURN_IF_ERROR(
      check.SameShape("weight", weight, Shape{weight.dim(0), x.dim(-1)}));
  EISBACH_RETURN_IF_ERROR(CheckContext(kOp, x.dim(-2), weight.dim(0)));
  const double bytes = static_cast<double>(x.bytes());
  const double rows =
      static_cast<double>(x.dim(-2) * x.dim(-1) * SizeOf(x.dtype()));
  return AddPositionSlot().Run({.x = x, .weight = weight},
                               {.flops = static_cast<double>(x.elements()),
                                .bytes_read = bytes + rows,
                                .bytes_written = bytes,
                                .dtype = x.dtype()},
                               stream);
}

absl::Status PositionBackward(const Tensor& dy, bool accumulate,
                              const Tensor& dweight, Stream& stream) {
  constexpr absl::string_view kOp = "position_backward";
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("dy", dy));
  EISBACH_RETURN_IF_ERROR(check.MinRank("dy", dy, 2));
  EISBACH_RETURN_IF_ERROR(check.Dense("dweight", dweight, DType::kF32));
  EISBACH_RETURN_IF_ERROR(CheckTable(kOp, "dweight", dweight));
  EISBACH_RETURN_IF_ERROR(
      check.SameShape("dweight", dweight, Shape{dweight.dim(0), dy.dim(-1)}));
  EISBACH_RETURN_IF_ERROR(CheckContext(kOp, dy.dim(-2), dweight.dim(0)));
  const double touched = 4.0 * dy.dim(-2) * dy.dim(-1);
  return PositionBackwardSlot().Run(
      {.dy = dy, .accumulate = accumulate, .dweight = dweight},
      {.flops = static_cast<double>(dy.elements()),
       .bytes_read = dy.bytes() + (accumulate ? touched : 0.0),
       .bytes_written =
           accumulate ? touched : static_cast<double>(dweight.bytes()),
       .dtype = dy.dtype()},
      stream);
}

}  // namespace eisbach::ops
