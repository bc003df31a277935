#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace eisbach::optim {

// The one of `names` that takes the fewest changes of a letter to fit
// `pattern`, in which * stands for anything; the first of equals. `names` are
// not empty and may have * for a number.
const std::string& NearestName(absl::string_view pattern,
                               absl::Span<const std::string> names);

}  // namespace eisbach::optim
