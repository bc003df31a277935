#pragma once

#include "device/allocator.h"

namespace eisbach::cuda {

// Memory of the current GPU, by cudaMalloc. Take works inside a capture too.
class CudaSource final : public MemorySource {
 public:
  absl::StatusOr<void*> Take(size_t bytes) override;
  void Give(void* data, size_t bytes) override;
};

// Memory checkers see the end of a tensor when each is an allocation of its
// own: EISBACH_NO_CACHING_ALLOCATOR=1.
Allocator::Caching CachingChosen();

}  // namespace eisbach::cuda
