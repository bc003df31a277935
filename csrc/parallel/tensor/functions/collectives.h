#pragma once

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "tensor/tensor.h"

namespace eisbach::parallel {

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

}  // namespace eisbach::parallel
