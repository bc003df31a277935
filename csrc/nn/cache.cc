#include "nn/cache.h"

#include <algorithm>
#include <utility>

#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::nn {

absl::StatusOr<Tensor> KeyValueCache::Grown(const Tensor& old,
                                            const Shape& shape,
                                            Stream& stream) const {
  EISBACH_ASSIGN_OR_RETURN(Tensor grown,
                           Tensor::Empty(shape, sizes_.dtype, stream.device()));
  if (!old.defined()) return grown;
  EISBACH_ASSIGN_OR_RETURN(Tensor to, grown.Narrow(0, 0, old.dim(0)));
  EISBACH_ASSIGN_OR_RETURN(to, to.Narrow(2, 0, old.dim(2)));
  EISBACH_RETURN_IF_ERROR(ops::Copy(old, to, stream));
  return grown;
}

absl::Status KeyValueCache::Reserve(int64_t slots, int64_t capacity,
                                    int64_t most, Stream& stream) {
  if (slots <= slots_ && capacity <= capacity_) return absl::OkStatus();
  slots = std::max(slots, slots_);
  capacity = capacity <= capacity_
                 ? capacity_
                 : std::min(most, std::max(capacity, 2 * capacity_));
  const Shape shape{slots, sizes_.kv_heads, capacity, sizes_.head_dim};
  // A layer at a time: no more than one is there twice.
  for (ops::KeyValues& layer : layers_) {
    EISBACH_ASSIGN_OR_RETURN(layer.keys, Grown(layer.keys, shape, stream));
    EISBACH_ASSIGN_OR_RETURN(layer.values, Grown(layer.values, shape, stream));
  }
  slots_ = slots;
  capacity_ = capacity;
  return absl::OkStatus();
}

}  // namespace eisbach::nn
