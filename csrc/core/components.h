#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace eisbach {

// The libraries and features that this build and machine offer, told by the
// files that use them: "matmul" -> "oneDNN 3.2.0". For `eisbach doctor` and
// for a run's summary.
std::map<std::string, std::string> Components();

// Called once by a backend from a static initialiser. `describe` runs when
// somebody asks.
bool RegisterComponent(absl::string_view role, std::string (*describe)());

}  // namespace eisbach
