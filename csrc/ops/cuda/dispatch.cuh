#pragma once

#include "ops/cuda/type.h"
#include "ops/cuda/vector.cuh"

namespace eisbach::cuda {

// Calls f(T{}) with the storage type of `type`.
template <typename F>
cudaError_t Dispatch(Type type, F&& f) {
  switch (type) {
    case Type::kF32:
      return f(float{});
    case Type::kBF16:
      return f(BF16{});
    case Type::kF16:
      return f(F16{});
  }
  return cudaErrorInvalidValue;
}

}  // namespace eisbach::cuda
