#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "device/stream.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// What the arguments of an op must satisfy. Every method returns
// InvalidArgument with the op, the argument, what it is and what it must be.
// Costs no allocation where all is well.
class OpCheck {
 public:
  OpCheck(absl::string_view op, const Stream& stream)
      : op_(op), stream_(stream) {}

  // Defined and on the stream's type of device.
  absl::Status Present(absl::string_view name, const Tensor& t) const;
  // Present and contiguous.
  absl::Status Dense(absl::string_view name, const Tensor& t) const;
  absl::Status Dense(absl::string_view name, const Tensor& t,
                     DType dtype) const;
  absl::Status Dense(absl::string_view name, const Tensor& t, DType dtype,
                     const Shape& shape) const;
  // Dense, of dtype f32, bf16 or f16.
  absl::Status DenseFloat(absl::string_view name, const Tensor& t) const;
  // Of that dtype, its last dimension contiguous and a multiple of `width`, the
  // others as one: what RowsOf takes.
  absl::Status EvenRows(absl::string_view name, const Tensor& t, DType dtype,
                        int64_t width) const;
  absl::Status SameStrides(absl::string_view name, const Tensor& t,
                           const Tensor& other) const;
  absl::Status MinRank(absl::string_view name, const Tensor& t, int rank) const;
  absl::Status SameShape(absl::string_view name, const Tensor& t,
                         const Shape& shape) const;

 private:
  absl::string_view op_;
  const Stream& stream_;
};

// The product of all dimensions but the last.
int64_t LeadingElements(const Shape& shape);

}  // namespace eisbach::ops
