#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "comm/communicator.h"
#include "tensor/parameter.h"

namespace eisbach::parallel {

// Sums the gradients of slices marked `sum_over_tensor` over the ranks that
// hold them. Every rank of the group has such slices of the same logical
// tensors, in the same order; the group passes one buffer that holds these
// tensors whole. Where parameters are divided, so are the gradients (their
// `reduced`): ranks of the group need not divide theirs alike, and what the
// ranks of `division` have is put together as well.
absl::Status SumSharedGradients(absl::Span<Parameter* const> parameters,
                                comm::Communicator& group, Stream& stream,
                                comm::Communicator* division = nullptr);

}  // namespace eisbach::parallel
