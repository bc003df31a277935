#include "ops/cuda/attention_key.h"

#include "absl/strings/str_cat.h"

namespace eisbach::cuda {

std::string AttentionKey::ToString() const {
  return absl::StrCat(
      pass == AttentionPass::kForward ? "forward " : "backward ", Name(dtype),
      " B=", batch, " T=", length, " heads=", heads, "/", kv_heads,
      " D=", head_dim, even ? "" : " uneven groups",
      hides ? " documents or a window" : "",
      scale == 0 ? "" : absl::StrCat(" scale=", scale),
      cap == 0 ? "" : absl::StrCat(" cap=", cap));
}

}  // namespace eisbach::cuda
