#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "nn/module.h"
#include "ops/cached_attention.h"

namespace eisbach::nn {

// What the attention layers of a stage have computed of the tokens of several
// sequences, each in a slot.
class KeyValueCache {
 public:
  struct Sizes {
    int64_t layers;
    int64_t kv_heads;  // that this rank holds
    int64_t head_dim;
    DType dtype;
  };
  explicit KeyValueCache(const Sizes& sizes)
      : sizes_(sizes), layers_(sizes.layers) {}

  // Makes room for `slots` sequences of `capacity` tokens; what is there stays.
  // Capacity grows to twice of what it was at least, up to `most`.
  absl::Status Reserve(int64_t slots, int64_t capacity, int64_t most,
                       Stream& stream);

  // The layers are counted as the rank holds them.
  const ops::KeyValues& layer(int64_t layer) const { return layers_[layer]; }
  int64_t slots() const { return slots_; }
  int64_t capacity() const { return capacity_; }
  int64_t bytes() const {
    return 2 * sizes_.layers * slots_ * sizes_.kv_heads * capacity_ *
           sizes_.head_dim * static_cast<int64_t>(SizeOf(sizes_.dtype));
  }

 private:
  absl::StatusOr<Tensor> Grown(const Tensor& old, const Shape& shape,
                               Stream& stream) const;

  Sizes sizes_;
  std::vector<ops::KeyValues> layers_;
  int64_t slots_ = 0;
  int64_t capacity_ = 0;
};

// A forward pass over tokens [1, N] that go on behind what a cache holds; see
// ops/cached_attention.h for their places.
struct CachedTokens {
  const KeyValueCache& cache;
  ops::TokenPlaces places;
};

}  // namespace eisbach::nn
