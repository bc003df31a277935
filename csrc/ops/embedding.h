#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// y[..., H] = weight[id - first_row], and zeros for an id outside
// [first_row, first_row + rows): a vocabulary-parallel rank holds `rows` rows
// of the table. ids: i32 [...] in [0, vocab); weight: [rows, H]. For an id that
// is not in [0, vocab) see ids.h; y is NaN there.
struct EmbeddingForwardArgs {
  const Tensor& ids;
  const Tensor& weight;
  int64_t first_row;
  int64_t vocab;
  const Tensor& y;
};
using EmbeddingForwardKernel = KernelSlot<EmbeddingForwardArgs>;
EmbeddingForwardKernel& EmbeddingForwardSlot();
absl::StatusOr<Tensor> EmbeddingForward(const Tensor& ids, const Tensor& weight,
                                        int64_t first_row, int64_t vocab,
                                        Stream& stream);

// dweight (f32 [rows, H]) is overwritten, or added to when `accumulate`. The
// contributions to a row are added in the order of the ids. Ids that are not in
// [0, vocab) contribute to none.
struct EmbeddingBackwardArgs {
  const Tensor& dy;
  const Tensor& ids;
  int64_t first_row;
  bool accumulate;
  const Tensor& dweight;
};
using EmbeddingBackwardKernel = KernelSlot<EmbeddingBackwardArgs>;
EmbeddingBackwardKernel& EmbeddingBackwardSlot();
absl::Status EmbeddingBackward(const Tensor& dy, const Tensor& ids,
                               int64_t first_row, int64_t vocab,
                               bool accumulate, const Tensor& dweight,
                               Stream& stream);

// x[B, T, H] += weight[t] in place; weight: [context >= T, H].
struct AddPositionArgs {
  const Tensor& x;
  const Tensor& weight;
};
using AddPositionKernel = KernelSlot<AddPositionArgs>;
AddPositionKernel& AddPositionSlot();
absl::Status AddPosition(const Tensor& x, const Tensor& weight, Stream& stream);

// dweight (f32 [context, H]): rows below T get the sum over the batch of dy
// [B, T, H], in batch order; overwritten (rows from T on with zeros), or added
// to when `accumulate`.
struct PositionBackwardArgs {
  const Tensor& dy;
  bool accumulate;
  const Tensor& dweight;
};
using PositionBackwardKernel = KernelSlot<PositionBackwardArgs>;
PositionBackwardKernel& PositionBackwardSlot();
absl::Status PositionBackward(const Tensor& dy, bool accumulate,
                              const Tensor& dweight, Stream& stream);

}  // namespace eisbach::ops
