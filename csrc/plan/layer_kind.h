#pragma once

#include <cstdint>

#include "models/config.h"

namespace eisbach::plan {

// What tells one layer of a model from another.
struct LayerKind {
  int64_t window = 0;  // keys that a query sees; 0: all
  bool rotates = false;

  friend auto operator<=>(const LayerKind&, const LayerKind&) = default;
};

inline LayerKind KindOfLayer(const models::ModelConfig& model, int64_t layer) {
  return {model.architecture.WindowOf(layer),
          model.architecture.RotatesLayer(layer)};
}

}  // namespace eisbach::plan
