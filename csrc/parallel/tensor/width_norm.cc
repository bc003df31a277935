#include "parallel/tensor/width_norm.h"

#include "parallel/tensor/functions/width_norm.h"

namespace eisbach::parallel {

absl::StatusOr<Tensor> DividedWidthNorm::Forward(
    const Tensor& qkv, const ops::AttentionHeads&,
    const nn::ForwardContext& context) {
  return WidthNorm(eps_, qkv, shard_, query_, key_, group_, context.stream,
                   kind_);
}

}  // namespace eisbach::parallel
