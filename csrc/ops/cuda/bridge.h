#pragma once

#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_stream.h"
#include "device/cuda/status.h"
#include "ops/cuda/type.h"
#include "tensor/tensor.h"

// From tensors and streams to what kernels are given.
namespace eisbach::cuda {

// `dtype` is f32, bf16 or f16, which the op has checked.
inline Type ToType(DType dtype) {
  return dtype == DType::kBF16  ? Type::kBF16
         : dtype == DType::kF16 ? Type::kF16
                                : Type::kF32;
}

}  // namespace eisbach::cuda
