#include "parallel/tensor/sequence.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace eisbach::parallel {
namespace {

// "tensor=4 does not divide …; nearest that works: …"
std::string Uneven(const DividedTokens& tokens) {
  const int64_t unit =
      tokens.ranks / std::gcd<int64_t>(tokens.ranks, tokens.samples);
  const int64_t nearest = (tokens.positions + unit / 2) / unit * unit;
  return absl::StrCat("tensor=", tokens.ranks, " does not divide the ",
                      tokens.samples * tokens.positions,
                      " tokens of micro_batch=", tokens.samples, " x ",
                      tokens.positions,
                      " positions (parallel.sequence, "
                      "model.context); nearest number of "
                      "positions that works: ",
                      std::max(nearest, unit));
}

}  // namespace

absl::StatusOr<bool> DividesTokens(std::optional<bool> asked,
                                   const DividedTokens& tokens) {
  if (tokens.ranks == 1 || !asked.value_or(true)) return false;
  if (asked && !tokens.even()) {
    return absl::InvalidArgumentError(Uneven(tokens));
  }
  return tokens.even();
}

std::string WholeTokensText(std::optional<bool> asked,
                            const DividedTokens& tokens) {
  if (asked || tokens.even()) return "";
  return absl::StrCat("sequence=auto: every tensor rank keeps all tokens, as ",
                      Uneven(tokens));
}

absl::StatusOr<nn::TokenShare> ShareTokens(const DividedTokens& tokens,
                                           int rank) {
  if (!tokens.even()) return absl::InvalidArgumentError(Uneven(tokens));
  const int64_t count = tokens.samples * tokens.positions / tokens.ranks;
  return nn::TokenShare{tokens.samples, tokens.positions, rank * count, count};
}

}  // namespace eisbach::parallel
