#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// Bounds on JSON that somebody else may have written.
struct JsonLimits {
  size_t depth = 64;           // of objects and lists in one another
  size_t values = 10'000'000;  // of all kinds; what memory and time grow with
};

// The one way in which the core reads JSON: strictly, and within bounds that
// are checked before anything is allocated, so that no text can exhaust the
// stack, the memory or the user's patience. Members of objects are sorted.
//
// InvalidArgument, beginning with `what`, when the text is not JSON, when an
// object names a key twice (readers differ in which they take), or when it is
// over a limit.
absl::StatusOr<nlohmann::json> ReadJson(absl::string_view text,
                                        absl::string_view what,
                                        const JsonLimits& limits = {});

}  // namespace eisbach
