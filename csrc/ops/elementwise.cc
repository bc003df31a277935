#include "ops/elementwise.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(AddSlot, AddKernel, "add")
EISBACH_DEFINE_KERNEL(ScaleSlot, ScaleKernel, "scale")
EISBACH_DEFINE_KERNEL(CopySlot, CopyKernel, "copy")

namespace {

absl::Status AddTo(const Tensor& a, const Tensor& b, const Tensor& c,
                   Stream& stream) {
  const double n = static_cast<double>(a.elements());
  const double bytes = static_cast<double>(a.bytes());
  return AddSlot().Run({.a = a, .b = b, .c = c},
                       {.flops = n,
                        .bytes_read = 2 * bytes,
                        .bytes_written = bytes,
                        .dtype = a.dtype()},
                       stream);
}

absl::Status CheckAdd(const Tensor& a, const Tensor& b, Stream& stream) {
  const OpCheck check("add", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("a", a));
  return check.Dense("b", b, a.dtype(), a.shape());
}

}  // namespace

absl::StatusOr<Tensor> Add(const Tensor& a, const Tensor& b, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckAdd(a, b, stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor c, Tensor::Empty(a.shape(), a.dtype(), stream.device()));
  EISBACH_RETURN_IF_ERROR(AddTo(a, b, c, stream));
  return c;
}

absl::Status AddInPlace(const Tensor& a, const Tensor& b, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckAdd(a, b, stream));
  return AddTo(a, b, a, stream);
}

absl::Status Scale(const Tensor& x, float factor, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(OpCheck("scale", stream).DenseFloat("x", x));
  const double bytes = static_cast<double>(x.bytes());
  return ScaleSlot().Run({.x = x, .factor = factor},
                         {.flops = static_cast<double>(x.elements()),
                          .bytes_read = bytes,
                          .bytes_written = bytes,
                          .dtype = x.dtype()},
                         stream);
}

absl::Status Copy(const Tensor& from, const Tensor& to, Stream& stream) {
  const OpCheck check("copy", stream);
  EISBACH_RETURN_IF_ERROR(check.Present("from", from));
  EISBACH_RETURN_IF_ERROR(check.Present("to", to));
  EISBACH_RETURN_IF_ERROR(check.SameShape("to", to, from.shape()));
  if (IsFloat(from.dtype()) != IsFloat(to.dtype())) {
    return absl::InvalidArgumentError(absl::StrCat("copy: ", Name(from.dtype()),
                                                   " to ", Name(to.dtype()),
                                                   " mixes float and integer"));
  }
  return CopySlot().Run({.from = from, .to = to},
                        {.bytes_read = static_cast<double>(from.bytes()),
                         .bytes_written = static_cast<double>(to.bytes())},
                        stream);
}

absl::StatusOr<Tensor> Cast(const Tensor& x, DType dtype, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(OpCheck("cast", stream).Present("x", x));
  EISBACH_ASSIGN_OR_RETURN(Tensor y,
                           Tensor::Empty(x.shape(), dtype, stream.device()));
  EISBACH_RETURN_IF_ERROR(Copy(x, y, stream));
  return y;
}

absl::StatusOr<Tensor> Contiguous(const Tensor& x, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(OpCheck("contiguous", stream).Present("x", x));
  if (x.contiguous()) return x;
  return Cast(x, x.dtype(), stream);
}

}  // namespace eisbach::ops
