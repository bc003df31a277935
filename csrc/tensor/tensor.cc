#include "tensor/tensor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach {
namespace {

absl::StatusOr<int> NormalizeDim(int dim, int rank, absl::string_view what) {
  const int d = dim < 0 ? dim + rank : dim;
  if (d < 0 || d >= rank) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": dim ", dim, " is outside a tensor of rank ", rank));
  }
  return d;
}

// Elements from the first to one past the last that the view touches.
int64_t Extent(const Shape& shape, const Strides& strides) {
  int64_t last = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 0) return 0;
    last += (shape[i] - 1) * strides[i];
  }
  return last + 1;
}

}  // namespace

absl::StatusOr<Tensor> Tensor::Empty(const Shape& shape, DType dtype,
                                     Device& device) {
  for (int64_t d : shape.dims()) {
    if (d < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", shape.ToString(), " has a negative size"));
    }
  }
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Storage> storage,
                           device.Allocate(shape.elements() * SizeOf(dtype)));
  return FromStorage(std::move(storage), 0, shape, dtype);
}

absl::StatusOr<Tensor> Tensor::Zeros(const Shape& shape, DType dtype,
                                     Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor t, Empty(shape, dtype, stream.device()));
  EISBACH_RETURN_IF_ERROR(stream.device().SetZero(t.raw(), t.bytes(), stream));
  return t;
}

absl::StatusOr<Tensor> Tensor::SharedEmpty(const Shape& shape, DType dtype,
                                           Device& device) {
  EISBACH_ASSIGN_OR_RETURN(
      std::shared_ptr<Storage> storage,
      device.AllocateShared(shape.elements() * SizeOf(dtype)));
  return FromStorage(std::move(storage), 0, shape, dtype);
}

absl::StatusOr<Tensor> Tensor::SharedZeros(const Shape& shape, DType dtype,
                                           Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor t,
                           SharedEmpty(shape, dtype, stream.device()));
  EISBACH_RETURN_IF_ERROR(stream.device().SetZero(t.raw(), t.bytes(), stream));
  return t;
}

absl::StatusOr<Tensor> Tensor::FromStorage(std::shared_ptr<Storage> storage,
                                           size_t byte_offset,
                                           const Shape& shape, DType dtype) {
  return FromStorage(std::move(storage), byte_offset, shape,
                     ContiguousStrides(shape), dtype);
}

absl::StatusOr<Tensor> Tensor::FromStorage(std::shared_ptr<Storage> storage,
                                           size_t byte_offset,
                                           const Shape& shape,
                                           const Strides& strides,
                                           DType dtype) {
  const size_t end = byte_offset + Extent(shape, strides) * SizeOf(dtype);
  if (end > storage->bytes()) {
    return absl::OutOfRangeError(absl::StrCat(
        "a view of ", Name(dtype), shape.ToString(), " at byte ", byte_offset,
        " ends at ", end, " of a storage of ", storage->bytes(), " bytes"));
  }
  Tensor t;
  t.data_ = storage->data() == nullptr
                ? nullptr
                : static_cast<char*>(storage->data()) + byte_offset;
  t.storage_ = std::move(storage);
  t.shape_ = shape;
  t.strides_ = strides;
  t.dtype_ = dtype;
  return t;
}

bool Tensor::contiguous() const {
  int64_t expected = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != expected) return elements() == 0;
    expected *= shape_[i];
  }
  return true;
}

absl::StatusOr<Tensor> Tensor::View(const Shape& shape) const {
  if (shape.elements() != elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat("view: ", shape_.ToString(), " has ", elements(),
                     " elements, ", shape.ToString(), " ", shape.elements()));
  }
  if (!contiguous()) {
    return absl::InvalidArgumentError(
        absl::StrCat("view: ", ToString(),
                     " is not contiguous; contiguous() makes a copy that is"));
  }
  Tensor t = Detach();
  t.shape_ = shape;
  t.strides_ = ContiguousStrides(shape);
  return t;
}

absl::StatusOr<Tensor> Tensor::Narrow(int dim, int64_t start,
                                      int64_t length) const {
  EISBACH_ASSIGN_OR_RETURN(int d, NormalizeDim(dim, rank(), "narrow"));
  if (start < 0 || length < 0 || start > shape_[d] ||
      length > shape_[d] - start) {
    return absl::InvalidArgumentError(
        absl::StrCat("narrow: ", length, " from ", start, " on is outside dim ",
                     d, " of ", shape_.ToString()));
  }
  Tensor t = Detach();
  t.shape_.Set(d, length);
  if (t.data_ != nullptr) {
    t.data_ =
        static_cast<char*>(t.data_) + start * strides_[d] * SizeOf(dtype_);
  }
  return t;
}

absl::StatusOr<Tensor> Tensor::Transpose(int a, int b) const {
  EISBACH_ASSIGN_OR_RETURN(int i, NormalizeDim(a, rank(), "transpose"));
  EISBACH_ASSIGN_OR_RETURN(int j, NormalizeDim(b, rank(), "transpose"));
  Tensor t = Detach();
  t.shape_.Set(i, shape_[j]);
  t.shape_.Set(j, shape_[i]);
  std::swap(t.strides_[i], t.strides_[j]);
  return t;
}

Tensor Tensor::Detach() const {
  Tensor t = *this;
  t.grad_edge_ = {};
  return t;
}

std::string Tensor::ToString() const {
  if (!defined()) return "undefined tensor";
  return absl::StrCat(Name(dtype_), shape_.ToString(), " on ",
                      Name(device().type()));
}

}  // namespace eisbach
