#pragma once

#include "absl/status/statusor.h"
#include "nn/linear.h"
#include "ops/attention.h"

namespace eisbach::parallel {

// What one tensor rank holds of the attention heads. Query heads are divided
// evenly; a rank holds every key/value head that its query heads read, so heads
// at the border between ranks are held twice: the lower rank counts them, and
// their gradients are summed over the ranks.
struct HeadShard {
  ops::AttentionHeads local;
  nn::Range query;      // in heads
  nn::Range key_value;  // in heads
  bool shared_below =
      false;                // the first key/value head is the lower rank's too
  bool any_shared = false;  // some rank of the group shares some head
};

// InvalidArgument when kv_heads does not divide heads, or `size` does not.
absl::StatusOr<HeadShard> ShardHeads(int64_t heads, int64_t kv_heads,
                                     int64_t head_dim, int rank, int size);

}  // namespace eisbach::parallel
