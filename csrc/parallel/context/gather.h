#pragma once

#include "absl/status/statusor.h"
#include "parallel/context/divided_rows.h"

namespace eisbach::parallel {

// The same as RingAttention (ring.h), with the keys and values of all ranks
// gathered at once and put in the order of the row: nothing is merged, and
// nothing travels behind compute. A rank holds keys and values of whole rows;
// backward gathers them again and scatters the sums of their gradients, in f32.
absl::StatusOr<Tensor> GatherAttention(const Tensor& qkv,
                                       const ops::AttentionHeads& heads,
                                       const ops::AttentionOptions& options,
                                       const DividedRows& rows, Stream& stream);

}  // namespace eisbach::parallel
