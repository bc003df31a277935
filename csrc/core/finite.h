#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "core/dtype.h"

namespace eisbach {

// The index of the first element that is NaN or infinite; none where there is
// none, and for types that have no such values. `bytes` need not be aligned.
std::optional<size_t> FirstNonFinite(DType dtype,
                                     std::span<const std::byte> bytes);

}  // namespace eisbach
