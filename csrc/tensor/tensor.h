#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/check.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "device/device.h"
#include "device/storage.h"
#include "tensor/grad_node.h"

namespace eisbach {

// A strided view of device memory. A value type: copies share the storage,
// and constness is that of the handle, as with a pointer.
class Tensor {
 public:
  Tensor() = default;  // undefined: no storage

  // Uninitialised and contiguous.
  static absl::StatusOr<Tensor> Empty(const Shape& shape, DType dtype,
                                      Device& device);
  static absl::StatusOr<Tensor> Zeros(const Shape& shape, DType dtype,
                                      Stream& stream);
  // The same two in the device's shared memory (Device::AllocateShared).
  static absl::StatusOr<Tensor> SharedEmpty(const Shape& shape, DType dtype,
                                            Device& device);
  static absl::StatusOr<Tensor> SharedZeros(const Shape& shape, DType dtype,
                                            Stream& stream);
  // A contiguous view of `storage` that starts `byte_offset` bytes into it.
  static absl::StatusOr<Tensor> FromStorage(std::shared_ptr<Storage> storage,
                                            size_t byte_offset,
                                            const Shape& shape, DType dtype);
  // A strided view (element strides, none negative) of `storage`.
  static absl::StatusOr<Tensor> FromStorage(std::shared_ptr<Storage> storage,
                                            size_t byte_offset,
                                            const Shape& shape,
                                            const Strides& strides,
                                            DType dtype);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_[i]; }
  const Strides& strides() const { return strides_; }
  int64_t stride(int i) const { return strides_[i < 0 ? i + rank() : i]; }
  int64_t elements() const { return shape_.elements(); }
  DType dtype() const { return dtype_; }
  size_t bytes() const { return elements() * SizeOf(dtype_); }
  bool contiguous() const;
  Device& device() const { return storage_->device(); }
  const std::shared_ptr<Storage>& storage() const { return storage_; }

  // The first element; null on meta and for tensors without elements.
  void* raw() const { return data_; }
  template <typename T>
  T* data() const {
    EISBACH_CHECK(dtype_ == DTypeOf<T>::value);
    return static_cast<T*>(data_);
  }

  // Views of the same storage. They carry no gradient edge; the differentiable
  // forms are in autograd/functions.
  absl::StatusOr<Tensor> View(const Shape& shape) const;  // contiguous only
  absl::StatusOr<Tensor> Narrow(int dim, int64_t start, int64_t length) const;
  absl::StatusOr<Tensor> Transpose(int a, int b) const;
  Tensor Detach() const;

  const GradEdge& grad_edge() const { return grad_edge_; }
  void set_grad_edge(GradEdge edge) { grad_edge_ = edge; }

  std::string ToString() const;  // "f32[2, 3] on cpu"

 private:
  std::shared_ptr<Storage> storage_;
  void* data_ = nullptr;
  Shape shape_;
  Strides strides_;
  DType dtype_ = DType::kF32;
  GradEdge grad_edge_;
};

}  // namespace eisbach
