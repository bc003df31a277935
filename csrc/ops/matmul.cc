#include "ops/matmul.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"
#include "ops/reduce.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(MatmulSlot, MatmulKernel, "matmul", OpClass::kMatmul)
EISBACH_DEFINE_KERNEL(LinearGradientSlot, LinearGradientKernel,
                      "linear_gradient", OpClass::kMatmul)

namespace {

absl::Status CheckMatrix(const OpCheck& check, absl::string_view name,
                         const Tensor& t) {
  EISBACH_RETURN_IF_ERROR(check.Present(name, t));
  if (t.rank() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "matmul: ", name, "=", t.ToString(), " must have 2 dimensions"));
  }
  if (t.dtype() != DType::kF32 && t.dtype() != DType::kBF16 &&
      t.dtype() != DType::kF16) {
    return UnsupportedDType(t.dtype(), absl::StrCat("matmul: ", name));
  }
  return Annotate(LayoutOf(t).status(), absl::StrCat("matmul: ", name));
}

absl::Status CheckDTypes(const MatmulArgs& args) {
  const DType dtype = args.a.dtype();
  if (args.b.dtype() != dtype) {
    return absl::InvalidArgumentError(
        absl::StrCat("matmul: b=", args.b.ToString(),
                     " must have the dtype of a=", args.a.ToString()));
  }
  if (args.c.dtype() != DType::kF32 &&
      (args.c.dtype() != dtype || args.accumulate)) {
    return absl::InvalidArgumentError(
        absl::StrCat("matmul: c=", args.c.ToString(), " must be f32",
                     args.accumulate ? " where it accumulates"
                                     : absl::StrCat(" or ", Name(dtype))));
  }
  return absl::OkStatus();
}

absl::Status CheckBias(const OpCheck& check, const MatmulArgs& args) {
  if (args.bias == nullptr) return absl::OkStatus();
  if (args.accumulate) {
    return absl::InvalidArgumentError(
        "matmul: a bias and accumulate exclude one another");
  }
  const Tensor& bias = *args.bias;
  EISBACH_RETURN_IF_ERROR(check.Dense("bias", bias));
  EISBACH_RETURN_IF_ERROR(check.SameShape("bias", bias, Shape{args.c.dim(1)}));
  if (bias.dtype() != args.a.dtype() && bias.dtype() != DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("matmul: bias=", bias.ToString(), " must be f32 or ",
                     Name(args.a.dtype())));
  }
  return absl::OkStatus();
}

absl::Status CheckMatmul(const MatmulArgs& args, Stream& stream) {
  const OpCheck check("matmul", stream);
  EISBACH_RETURN_IF_ERROR(CheckMatrix(check, "a", args.a));
  EISBACH_RETURN_IF_ERROR(CheckMatrix(check, "b", args.b));
  EISBACH_RETURN_IF_ERROR(CheckMatrix(check, "c", args.c));
  if (args.a.dim(1) != args.b.dim(0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "matmul: a=", args.a.ToString(), " has ", args.a.dim(1),
        " columns, b=", args.b.ToString(), " has ", args.b.dim(0), " rows"));
  }
  EISBACH_RETURN_IF_ERROR(
      check.SameShape("c", args.c, Shape{args.a.dim(0), args.b.dim(1)}));
  EISBACH_ASSIGN_OR_RETURN(const MatrixLayout c_layout, LayoutOf(args.c));
  if (c_layout.transposed) {
    return absl::InvalidArgumentError(
        absl::StrCat("matmul: c=", args.c.ToString(),
                     " must have rows of stride 1, not columns"));
  }
  EISBACH_RETURN_IF_ERROR(CheckDTypes(args));
  return CheckBias(check, args);
}

OpCost MatmulCost(const MatmulArgs& args) {
  OpCost cost;
  cost.flops = 2.0 * static_cast<double>(args.a.elements()) *
               static_cast<double>(args.b.dim(1));
  cost.bytes_read = static_cast<double>(args.a.bytes() + args.b.bytes());
  if (args.bias != nullptr) cost.bytes_read += args.bias->bytes();
  if (args.accumulate) cost.bytes_read += args.c.bytes();
  cost.bytes_written = static_cast<double>(args.c.bytes());
  cost.rows = args.a.dim(0);
  cost.inner = args.a.dim(1);
  cost.columns = args.b.dim(1);
  cost.dtype = args.a.dtype();
  cost.product = {.a_transposed = LayoutOf(args.a)->transposed,
                  .b_transposed = LayoutOf(args.b)->transposed,
                  .accumulate = args.accumulate,
                  .written = args.c.dtype()};
  return cost;
}

// [..., F] as [rows, F]; also where F is 0 or a dimension is.
absl::StatusOr<Tensor> AsRows(const Tensor& x, absl::string_view name,
                              Stream& stream) {
  const OpCheck check("linear", stream);
  EISBACH_RETURN_IF_ERROR(check.Dense(name, x));
  EISBACH_RETURN_IF_ERROR(check.MinRank(name, x, 1));
  return x.View(Shape{LeadingElements(x.shape()), x.dim(-1)});
}

Shape WithLast(const Shape& shape, int64_t size) {
  Shape result = shape;
  result.Set(-1, size);
  return result;
}

absl::Status CheckWeight(const Tensor& w, Stream& stream) {
  const OpCheck check("linear", stream);
  EISBACH_RETURN_IF_ERROR(check.Present("weight", w));
  if (w.rank() == 2) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("linear: weight=", w.ToString(), " must be [N, K]"));
}

}  // namespace

absl::StatusOr<MatrixLayout> LayoutOf(const Tensor& matrix) {
  const int64_t rows = matrix.dim(0), columns = matrix.dim(1);
  const int64_t row_step = rows > 1 ? matrix.stride(0) : columns;
  const int64_t column_step = columns > 1 ? matrix.stride(1) : rows;
  if ((columns <= 1 || column_step == 1) && row_step >= columns) {
    return MatrixLayout{false, std::max<int64_t>(row_step, 1)};
  }
  if ((rows <= 1 || row_step == 1) && column_step >= rows) {
    return MatrixLayout{true, std::max<int64_t>(column_step, 1)};
  }
  return absl::InvalidArgumentError(
      absl::StrCat(matrix.ToString(), " has strides [", matrix.stride(0), ", ",
                   matrix.stride(1),
                   "]; one must be 1 and the other at least the size of that "
                   "dimension; copy it first"));
}

absl::Status Matmul(const Tensor& a, const Tensor& b, const Tensor* bias,
                    bool accumulate, const Tensor& c, Stream& stream) {
  const MatmulArgs args{a, b, bias, accumulate, c};
  EISBACH_RETURN_IF_ERROR(CheckMatmul(args, stream));
  return MatmulSlot().Run(args, MatmulCost(args), stream);
}

absl::StatusOr<Tensor> LinearForward(const Tensor& x, const Tensor& w,
                                     const Tensor* bias, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor rows, AsRows(x, "x", stream));
  EISBACH_RETURN_IF_ERROR(CheckWeight(w, stream));
  EISBACH_ASSIGN_OR_RETURN(const Tensor w_t, w.Transpose(0, 1));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y,
      Tensor::Empty(WithLast(x.shape(), w.dim(0)), x.dtype(), stream.device()));
  EISBACH_ASSIGN_OR_RETURN(const Tensor y_rows,
                           y.View(Shape{rows.dim(0), w.dim(0)}));
  EISBACH_RETURN_IF_ERROR(Matmul(rows, w_t, bias, false, y_rows, stream));
  return y;
}

absl::StatusOr<Tensor> LinearBackwardInput(const Tensor& dy, const Tensor& w,
                                           Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor rows, AsRows(dy, "dy", stream));
  EISBACH_RETURN_IF_ERROR(CheckWeight(w, stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor dx, Tensor::Empty(WithLast(dy.shape(), w.dim(1)), dy.dtype(),
                               stream.device()));
  EISBACH_ASSIGN_OR_RETURN(const Tensor dx_rows,
                           dx.View(Shape{rows.dim(0), w.dim(1)}));
  EISBACH_RETURN_IF_ERROR(Matmul(rows, w, nullptr, false, dx_rows, stream));
  return dx;
}

absl::Status LinearBackwardWeight(const Tensor& dy, const Tensor& x,
                                  const LinearGradient& gradient,
                                  Stream& stream) {
  const OpCheck check("linear", stream);
  EISBACH_ASSIGN_OR_RETURN(const Tensor dy_rows, AsRows(dy, "dy", stream));
  EISBACH_ASSIGN_OR_RETURN(const Tensor x_rows, AsRows(x, "x", stream));
  EISBACH_ASSIGN_OR_RETURN(const Tensor dy_t, dy_rows.Transpose(0, 1));
  EISBACH_RETURN_IF_ERROR(check.Dense("dw", gradient.dw, DType::kF32));
  const MatmulArgs product{dy_t, x_rows, nullptr, gradient.accumulate,
                           gradient.dw};
  EISBACH_RETURN_IF_ERROR(CheckMatmul(product, stream));
  if (gradient.dbias == nullptr) {
    return MatmulSlot().Run(product, MatmulCost(product), stream);
  }
  const LinearGradientKernel& fused = LinearGradientSlot();
  const bool empty = dy_rows.elements() == 0 || x_rows.elements() == 0;
  if (!fused.Has(stream.device().type()) || dy.dtype() == DType::kF32 ||
      empty) {
    EISBACH_RETURN_IF_ERROR(
        MatmulSlot().Run(product, MatmulCost(product), stream));
    return ColumnSum(dy, gradient.accumulate_bias, *gradient.dbias, stream);
  }
  EISBACH_RETURN_IF_ERROR(check.Dense("dbias", *gradient.dbias, DType::kF32));
  EISBACH_RETURN_IF_ERROR(
      check.SameShape("dbias", *gradient.dbias, Shape{dy_rows.dim(1)}));
  OpCost cost = MatmulCost(product);
  cost.bytes_written += gradient.dbias->bytes();
  return fused.Run({dy_rows, x_rows, gradient}, cost, stream);
}

}  // namespace eisbach::ops
