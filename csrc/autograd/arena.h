#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace eisbach::autograd {

// Bump memory for the nodes of one graph. Reset() forgets everything and keeps
// the chunks, so that a graph that is used again allocates nothing. Whoever
// places an object here calls its destructor.
class Arena {
 public:
  void* Allocate(size_t bytes, size_t alignment);
  void Reset();

 private:
  static constexpr size_t kChunk = size_t{1} << 16;

  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  size_t chunk_ = 0;  // in use
  size_t used_ = 0;   // bytes of it
};

}  // namespace eisbach::autograd
