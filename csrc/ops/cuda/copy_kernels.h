#pragma once

#include <cuda_runtime_api.h>

namespace eisbach::cuda {

// Any element type of a tensor.
enum class Element : unsigned char {
  kF32,
  kBF16,
  kF16,
  kF64,
  kI32,
  kI64,
  kU8,
  kU16,
};

// One dimension of a strided copy; strides in elements.
struct CopyAxis {
  long long size;
  long long from_stride;
  long long to_stride;
};

inline constexpr int kMaxCopyAxes = 6;

// A copy is planes of columns of rows. `row` is the dimension along which `to`
// runs fastest, `column` (size 1 where there is none) the one along which
// `from` runs faster still. At least one plane is left free: a column that is
// no transposition becomes one.
struct CopyShape {
  CopyAxis row;
  CopyAxis column;
  int planes = 0;  // how many of `plane` are used, slowest first
  CopyAxis plane[kMaxCopyAxes];
};

// to <- from with conversion, to nearest even between float types. Both types
// are float or both integer, and no size is 0.
cudaError_t LaunchCopy(Element from_type, const void* from, Element to_type,
                       void* to, const CopyShape& shape, cudaStream_t stream);

}  // namespace eisbach::cuda
