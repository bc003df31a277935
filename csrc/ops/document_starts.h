#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "device/stream.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Documents that lie side by side in a row. starts: i32 [B, T], for each token
// the position in its row of the first token of its document. So starts[t] is t
// where a document begins, and starts[t - 1] elsewhere; padding is documents of
// one token.

// InvalidArgument, naming `op`, where starts is not i32 of `shape`, contiguous
// and on the stream's type of device; and, in the host's memory, where a value
// breaks the rule above. Of others (cuda, meta) nothing is read: kernels take a
// start before the row for its first position and one after t for t.
absl::Status CheckStarts(absl::string_view op, const Tensor& starts,
                         const Shape& shape, Stream& stream);

// positions[t] = t - starts[t], a token's place in its document: i32 [B, T].
struct DocumentPositionsArgs {
  const Tensor& starts;
  const Tensor& positions;
};
using DocumentPositionsKernel = KernelSlot<DocumentPositionsArgs>;
DocumentPositionsKernel& DocumentPositionsSlot();
absl::StatusOr<Tensor> DocumentPositions(const Tensor& starts, Stream& stream);
// The same of `shape` [B, T] whose rows are one document each: positions[t] =
// t.
absl::StatusOr<Tensor> RowPositions(const Shape& shape, Stream& stream);

}  // namespace eisbach::ops
