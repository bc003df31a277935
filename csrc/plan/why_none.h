#pragma once

#include "absl/status/status.h"
#include "plan/enumerate_layouts.h"

namespace eisbach::plan {

// InvalidArgument that says why there is no layout at all (VisitLayouts): the
// fewest of the given keys that leave none by themselves, the rule that they
// break, and for each the nearest value with which there are some.
absl::Status WhyNone(const Ways& ways);

}  // namespace eisbach::plan
