#pragma once

#include "bindings/define.h"

namespace eisbach::bindings {

// A part of parallel: schedules and their simulation.
void BindPipeline(CoreModule& m);

}  // namespace eisbach::bindings
