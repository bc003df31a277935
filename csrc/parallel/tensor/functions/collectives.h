#pragma once

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "nn/module.h"
#include "tensor/tensor.h"

namespace eisbach::parallel {

// What a layer does at the borders of a tensor-parallel region: where tokens
// are divided (ForwardContext::share) by the second pair below, else by the
// first.
absl::StatusOr<Tensor> EnterTensorRegion(const Tensor& x,
                                         comm::Communicator& group,
                                         const nn::ForwardContext& context);
absl::StatusOr<Tensor> LeaveTensorRegion(const Tensor& x,
                                         comm::Communicator& group,
                                         const nn::ForwardContext& context);

// The two conjugate functions at the borders of a tensor-parallel region
// (f and g of Shoeybi et al., "Megatron-LM", arXiv:1909.08053).

// Identity forward; backward sums the gradient over the group.
absl::StatusOr<Tensor> EnterTensorRegion(const Tensor& x,
                                         comm::Communicator& group,
                                         Stream& stream);

// Sums x over the group, in place; backward is the identity.
absl::StatusOr<Tensor> LeaveTensorRegion(const Tensor& x,
                                         comm::Communicator& group,
                                         Stream& stream);

// The same pair where each rank has some of the tokens outside of the region (g
// and its conjugate of Korthikanti et al., "Reducing activation recomputation
// in large transformer models", arXiv:2205.05198). Tokens are cut in the order
// of rows, [B * T], so that a rank's lie in one piece whatever B is.

// x [1, count, H], the tokens of this rank, to [B, T, H], all of them; backward
// sums the gradient over the group and keeps this rank's part. What needs y in
// backward gathers it again.
absl::StatusOr<Tensor> GatherTokens(const Tensor& x,
                                    const nn::TokenShare& share,
                                    comm::Communicator& group, Stream& stream);

// The sum over the group of x [B, T, H], of which this rank keeps its tokens,
// [1, count, H]; backward gathers.
absl::StatusOr<Tensor> ScatterTokens(const Tensor& x,
                                     const nn::TokenShare& share,
                                     comm::Communicator& group, Stream& stream);

}  // namespace eisbach::parallel
