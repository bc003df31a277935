#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/dtype.h"

namespace eisbach::cuda {

enum class AttentionPass : uint8_t { kForward, kBackward };

// All that decides who computes an attention call and how. Query head h reads
// key/value head h / (heads / kv_heads) where `even`, else as AttentionHeads
// say.
struct AttentionKey {
  int64_t batch = 0;
  int64_t length = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  bool even = true;
  bool hides = false;  // whether a query sees less than all before it
  double scale = 0;    // see ops::AttentionOptions
  double cap = 0;
  DType dtype = DType::kBF16;
  AttentionPass pass = AttentionPass::kForward;

  int64_t packed_width() const { return (heads + 2 * kv_heads) * head_dim; }
  // "backward bf16 B=2 T=1024 heads=32/8 D=128"
  std::string ToString() const;

  friend bool operator==(const AttentionKey&, const AttentionKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const AttentionKey& key) {
    return H::combine(std::move(h), key.batch, key.length, key.heads,
                      key.kv_heads, key.head_dim, key.even, key.hides,
                      key.scale, key.cap, key.dtype, key.pass);
  }
};

}  // namespace eisbach::cuda
