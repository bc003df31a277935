#pragma once

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "ops/norm.h"
#include "parallel/tensor/heads.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::parallel {

// RMS norm of all query heads together and of all key heads together, where
// each rank of the group has some of them: qkv [B, T, width] of `shard`, query
// [heads * head_dim] and key [kv_heads * head_dim] whole on every rank. Values
// pass. The heads of all ranks are put together by a sum over the group, and so
// are their gradients, of which every rank then makes the same gradients of
// query and key.
absl::StatusOr<Tensor> WidthNorm(double eps, const Tensor& qkv,
                                 const HeadShard& shard, Parameter& query,
                                 Parameter& key, comm::Communicator& group,
                                 Stream& stream, ops::NormKind kind);

}  // namespace eisbach::parallel
