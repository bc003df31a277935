#pragma once

#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// One dimension of a strided copy; strides in elements.
struct CopyDim {
  int64_t size;
  int64_t from_stride;
  int64_t to_stride;
};
using CopyDims = absl::InlinedVector<CopyDim, 6>;

// The dimensions of a copy between tensors of one shape, slowest in `to` first,
// with those merged that are one run of memory in both tensors. At least one
// dimension remains; where all is contiguous, just one.
CopyDims MergedCopyDims(const Tensor& from, const Tensor& to);

// Takes out the dimension along which `from` runs faster than along the last
// one: with both, a transposition reads and writes whole cache lines. Of size 1
// where there is none.
CopyDim TakeFasterColumn(CopyDims& dims);

}  // namespace eisbach::ops
