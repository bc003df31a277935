#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "data/corpus.h"
#include "data/pair_reference.h"
#include "train/engine.h"

namespace eisbach::train {

// What the engine's model, as it is, thinks of all pairs of `corpus`: the
// reference of a model that is trained whole, to be measured before its first
// step (Corpus::SetReference). Data ranks divide the pairs, and all have all
// numbers in the end. `progress` is told now and then how many of how many
// pairs were measured; an error of it ends the measuring. Collective. DataLoss
// where a number is not finite.
absl::StatusOr<data::PairReference> MeasureReference(
    Engine& engine, const data::Corpus& corpus,
    absl::FunctionRef<absl::Status(int64_t done, int64_t all)> progress);

}  // namespace eisbach::train
