#pragma once

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "tensor/parameter.h"

namespace eisbach::checkpoint {

// The elements `wanted` of a parameter that ranks of the data group divide,
// flat, on the first of them; the others get an undefined tensor. `own`: of
// this rank, flat, its master or its reduced gradient. Collective over those
// that divide it.
absl::StatusOr<Tensor> GatherParts(const Parameter& parameter,
                                   const ElementRange& wanted,
                                   const Tensor& own, comm::Communicator& data,
                                   Stream& stream);

}  // namespace eisbach::checkpoint
