#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "nn/module.h"

namespace eisbach::parallel {

// A micro-batch of `samples` x `positions` tokens whose tokens the `ranks` of a
// tensor group may divide between projections (functions/collectives.h).
struct DividedTokens {
  int64_t samples;
  int64_t positions;
  int ranks;

  bool even() const { return samples * positions % ranks == 0; }
};

// Whether they do. `asked`: parallel.sequence; nothing is auto, where they do
// what they can. InvalidArgument where it is asked for and there is a rest. One
// rank has nobody to divide among.
absl::StatusOr<bool> DividesTokens(std::optional<bool> asked,
                                   const DividedTokens& tokens);

// Why auto does not divide the tokens of a group of several ranks, for whoever
// starts a run; else empty.
std::string WholeTokensText(std::optional<bool> asked,
                            const DividedTokens& tokens);

// What `rank` has of tokens that divide evenly; InvalidArgument of others.
absl::StatusOr<nn::TokenShare> ShareTokens(const DividedTokens& tokens,
                                           int rank);

}  // namespace eisbach::parallel
