#include "ops/op_check.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::ops {

absl::Status OpCheck::Present(absl::string_view name, const Tensor& t) const {
  if (!t.defined()) {
    return absl::InvalidArgumentError(
        absl::StrCat(op_, ": ", name, " is undefined"));
  }
  if (t.device().type() != stream_.device().type()) {
    return absl::InvalidArgumentError(
        absl::StrCat(op_, ": ", name, " is ", t.ToString(),
                     ", the stream is on ", Name(stream_.device().type())));
  }
  return absl::OkStatus();
}

absl::Status OpCheck::Dense(absl::string_view name, const Tensor& t) const {
  EISBACH_RETURN_IF_ERROR(Present(name, t));
  if (!t.contiguous()) {
    return absl::InvalidArgumentError(
        absl::StrCat(op_, ": ", name, "=", t.ToString(),
                     " is not contiguous; contiguous() makes a copy that is"));
  }
  return absl::OkStatus();
}

absl::Status OpCheck::Dense(absl::string_view name, const Tensor& t,
                            DType dtype) const {
  EISBACH_RETURN_IF_ERROR(Dense(name, t));
  if (t.dtype() != dtype) {
    return absl::InvalidArgumentError(
        absl::StrCat(op_, ": ", name, "=", t.ToString(), " must be ",
                     Name(dtype), "; astype() converts"));
  }
  return absl::OkStatus();
}

absl::Status OpCheck::Dense(absl::string_view name, const Tensor& t,
                            DType dtype, const Shape& shape) const {
  EISBACH_RETURN_IF_ERROR(Dense(name, t, dtype));
  return SameShape(name, t, shape);
}

absl::Status OpCheck::DenseFloat(absl::string_view name,
                                 const Tensor& t) const {
  EISBACH_RETURN_IF_ERROR(Dense(name, t));
  switch (t.dtype()) {
    case DType::kF32:
    case DType::kBF16:
    case DType::kF16:
      return absl::OkStatus();
    default:
      return UnsupportedDType(t.dtype(), absl::StrCat(op_, ": ", name));
  }
}

absl::Status OpCheck::EvenRows(absl::string_view name, const Tensor& t,
                               DType dtype, int64_t width) const {
  EISBACH_RETURN_IF_ERROR(Present(name, t));
  if (t.dtype() != dtype) {
    return absl::InvalidArgumentError(absl::StrCat(
        op_, ": ", name, "=", t.ToString(), " must be ", Name(dtype)));
  }
  EISBACH_RETURN_IF_ERROR(MinRank(name, t, 1));
  bool even = t.stride(-1) == 1 || t.dim(-1) <= 1;
  for (int i = 0; i + 2 < t.rank(); ++i) {
    even &= t.stride(i) == t.dim(i + 1) * t.stride(i + 1) || t.dim(i) <= 1;
  }
  if (even && width > 0 && t.dim(-1) % width == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op_, ": ", name, "=", t.ToString(),
                   " must be of evenly spaced rows of a multiple of ", width));
}

absl::Status OpCheck::SameStrides(absl::string_view name, const Tensor& t,
                                  const Tensor& other) const {
  if (t.strides() == other.strides()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op_, ": ", name, "=", t.ToString(),
                   " must be strided as its like, ", other.ToString()));
}

absl::Status OpCheck::MinRank(absl::string_view name, const Tensor& t,
                              int rank) const {
  if (t.rank() >= rank) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op_, ": ", name, "=", t.ToString(), " must have at least ",
                   rank, rank == 1 ? " dimension" : " dimensions"));
}

absl::Status OpCheck::SameShape(absl::string_view name, const Tensor& t,
                                const Shape& shape) const {
  if (t.shape() == shape) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op_, ": ", name, "=", t.ToString(), " must have the shape ",
                   shape.ToString()));
}

int64_t LeadingElements(const Shape& shape) {
  int64_t n = 1;
  for (int i = 0; i + 1 < shape.rank(); ++i) n *= shape[i];
  return n;
}

}  // namespace eisbach::ops
