#pragma once

#include <pybind11/numpy.h>

#include <map>
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

// Writes this rank's part of whole arrays to the masters. Each array is of
// fractions, all finite, and each name is the model's. Collective; with the
// GIL.
void ScatterArrays(absl::Span<Parameter* const> parameters,
                   const std::map<std::string, pybind11::array>& arrays,
                   const parallel::ParallelContext& context);

}  // namespace eisbach::bindings
