#pragma once

#include "bindings/define.h"
#include "train/engine.h"

namespace eisbach::bindings {

// How an engine's weights are read and set as a whole.
void BindWeights(Class<train::Engine>& engine);

}  // namespace eisbach::bindings
