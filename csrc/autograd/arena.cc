#include "autograd/arena.h"

#include "core/check.h"

namespace eisbach::autograd {

void* Arena::Allocate(size_t bytes, size_t alignment) {
  EISBACH_CHECK(bytes <= kChunk && alignment <= alignof(std::max_align_t));
  size_t begin = (used_ + alignment - 1) / alignment * alignment;
  if (chunks_.empty() || begin + bytes > kChunk) {
    if (!chunks_.empty()) ++chunk_;
    if (chunk_ == chunks_.size()) {
      chunks_.push_back(std::make_unique<std::byte[]>(kChunk));
    }
    begin = 0;
  }
  used_ = begin + bytes;
  return chunks_[chunk_].get() + begin;
}

void Arena::Reset() {
  chunk_ = 0;
  used_ = 0;
}

}  // namespace eisbach::autograd
