#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "absl/types/span.h"
#include "parallel/context.h"
#include "tensor/parameter.h"

namespace eisbach::bindings {

// Whole parameters by logical name, without padding, on world rank 0; empty on
// the others. `value` is "master" or "grad". Without `copy` the arrays are
// read-only and may show the parameters themselves. Collective; with the GIL.
pybind11::dict GatherArrays(absl::Span<Parameter* const> parameters,
                            const std::string& value, bool copy,
                            const parallel::ParallelContext& context);

// Writes this rank's part of whole arrays to the masters. With the GIL.
void ScatterArrays(absl::Span<Parameter* const> parameters,
                   const pybind11::dict& arrays, Stream& stream);

}  // namespace eisbach::bindings
