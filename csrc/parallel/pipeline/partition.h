#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace eisbach::parallel {

// The layers [begin, end) of one stage.
struct LayerRange {
  int begin;
  int end;

  int size() const { return end - begin; }
  friend bool operator==(const LayerRange&, const LayerRange&) = default;
};

// Costs in any one unit (seconds, FLOPs), none negative.
struct LayerCosts {
  std::vector<double> layers;
  double first_stage;  // added to the first stage: the embedding
  double last_stage;   // added to the last stage: final norm, head and loss
};

// Cuts the layers into `stages` runs of at least one layer each, such that the
// dearest stage costs as little as possible; among those, such that the sum of
// squares is least; among those, with fewer layers on earlier stages (which
// hold the activations of more micro-batches). InvalidArgument when there are
// more stages than layers.
absl::StatusOr<std::vector<LayerRange>> BalanceStages(const LayerCosts& costs,
                                                      int stages);

// The ranges of an explicit list of layer counts, of `chunks` parts of the
// model for each stage, in the order of its layers. InvalidArgument unless it
// has one entry of at least 1 for each part and they add up to `layers`.
absl::StatusOr<std::vector<LayerRange>> StagesOf(
    absl::Span<const int> layers_per_stage, int layers, int stages,
    int chunks = 1);

}  // namespace eisbach::parallel
