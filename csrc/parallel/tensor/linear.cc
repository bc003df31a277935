#include "parallel/tensor/linear.h"

#include "core/status_macros.h"
#include "parallel/tensor/functions/collectives.h"

namespace eisbach::parallel {

absl::StatusOr<Tensor> ColumnParallelLinear::Forward(
    const Tensor& x, const nn::ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor entered,
                           EnterTensorRegion(x, group_, context));
  return local_->Forward(entered, context);
}

absl::StatusOr<Tensor> RowParallelLinear::Forward(
    const Tensor& x, const nn::ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor partial, local_->Forward(x, context));
  return LeaveTensorRegion(partial, group_, context);
}

}  // namespace eisbach::parallel
