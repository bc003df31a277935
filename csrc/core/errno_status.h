#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// absl::ErrnoToStatus, with the number kept beside the message: Python raises
// the OSError of that number. Annotate passes it on.
absl::Status ErrnoError(int error, absl::string_view what);

// The number that a status of ErrnoError was made of.
std::optional<int> ErrnoOf(const absl::Status& status);

}  // namespace eisbach
