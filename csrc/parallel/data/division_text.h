#pragma once

#include <string>

#include "parallel/data/division_groups.h"

namespace eisbach::parallel {

// What ranks of data x context divide, for whoever starts a run, in a step of
// so many micro-batches; empty where they divide nothing.
std::string DivisionText(const DivisionGroups& groups, int micro_batches);

}  // namespace eisbach::parallel
