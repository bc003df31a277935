#include "parallel/context/packed.h"

#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::parallel {

absl::StatusOr<Tensor> KeysAndValuesOf(const Tensor& qkv,
                                       const ops::AttentionHeads& heads,
                                       Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor packed,
                           qkv.Narrow(2, heads.heads * heads.head_dim,
                                      2 * heads.kv_heads * heads.head_dim));
  return ops::Cast(packed, qkv.dtype(), stream);
}

absl::StatusOr<Tensor> PackGradient(const Tensor& dqueries,
                                    const Tensor& dkeys_values, DType dtype,
                                    Stream& stream) {
  const int64_t queries = dqueries.dim(2), keys = dkeys_values.dim(2);
  EISBACH_ASSIGN_OR_RETURN(
      Tensor dqkv,
      Tensor::Empty(Shape{dqueries.dim(0), dqueries.dim(1), queries + keys},
                    dtype, stream.device()));
  EISBACH_ASSIGN_OR_RETURN(const Tensor left, dqkv.Narrow(2, 0, queries));
  EISBACH_ASSIGN_OR_RETURN(const Tensor right, dqkv.Narrow(2, queries, keys));
  EISBACH_RETURN_IF_ERROR(ops::Copy(dqueries, left, stream));
  EISBACH_RETURN_IF_ERROR(ops::Copy(dkeys_values, right, stream));
  return dqkv;
}

}  // namespace eisbach::parallel
