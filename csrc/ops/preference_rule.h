#pragma once

#include <math.h>

#include <cstdint>

// Free of tensors and of Abseil, for the kernels of every backend.
namespace eisbach::ops {

// What is learned of a pair of answers, of which one was preferred.
enum class PreferenceVariant : uint8_t {
  kSigmoid,  // Rafailov et al., "DPO", arXiv:2305.18290, equation 7
  kIpo,      // Azar et al., arXiv:2310.12036, equation 17
};

struct PreferenceRule {
  double beta;             // above 0: how much the reference holds
  double label_smoothing;  // in [0, 0.5): share of pairs that are turned round
  PreferenceVariant variant;
};

// Of a pair, in the order of its sums.
enum PairSum : int {
  kChosen = 0,    // log p of the preferred answer's trained tokens
  kRejected,      // of the other's
  kChosenTokens,  // how many they are
  kRejectedTokens,
  kPairSums
};

// What is added up over pairs.
enum PreferenceTotal : int {
  kPairs = 0,
  kChosenReward,    // beta x (log p - log p of the reference)
  kRejectedReward,  // the same of the other answer
  kRight,           // pairs whose preferred answer has the higher reward
  kPreferenceTotals
};

struct PairOutcome {
  double loss;
  double chosen_slope;    // of the loss, by log p of a token of the answer
  double rejected_slope;  // of the other answer
  double chosen_reward;
  double rejected_reward;
};

// -log sigmoid(x), where exp does not overflow.
template <typename Real>
constexpr Real MinusLogSigmoid(Real x) {
  return x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x;
}

// With h = (log p - log p_ref of the chosen) - (the same of the rejected):
//
//   sigmoid: -(1 - s) log sigmoid(beta h) - s log sigmoid(-beta h)
//   ipo:     (h - 1 / (2 beta))^2, of mean log probabilities a token
//
// As `sigmoid` and `ipo` of TRL's DPOTrainer. `policy` and `reference`: PairSum
// each, of which the reference's tokens are not read.
template <typename Real>
constexpr PairOutcome JudgePair(const PreferenceRule& rule, const Real* policy,
                                const Real* reference) {
  Real per_chosen = 1, per_rejected = 1;
  if (rule.variant == PreferenceVariant::kIpo) {
    const Real chosen = policy[kChosenTokens];
    const Real rejected = policy[kRejectedTokens];
    per_chosen = 1 / (chosen > 1 ? chosen : 1);
    per_rejected = 1 / (rejected > 1 ? rejected : 1);
  }
  const Real chosen = (policy[kChosen] - reference[kChosen]) * per_chosen;
  const Real rejected =
      (policy[kRejected] - reference[kRejected]) * per_rejected;
  const Real h = chosen - rejected;
  Real loss = 0, slope = 0;  // by h
  if (rule.variant == PreferenceVariant::kIpo) {
    const Real off = h - 1 / (2 * rule.beta);
    loss = off * off;
    slope = 2 * off;
  } else {
    const Real x = rule.beta * h, s = rule.label_smoothing;
    loss = (1 - s) * MinusLogSigmoid(x) + s * MinusLogSigmoid(-x);
    // beta (sigmoid(x) - (1 - s)); 1 - sigmoid(x) is near 0 late in training.
    const Real e = exp(x > 0 ? -x : x);
    const Real wrong = (x > 0 ? e : 1) / (1 + e);
    slope = rule.beta * (s - wrong);
  }
  return {loss, slope * per_chosen, -slope * per_rejected, rule.beta * chosen,
          rule.beta * rejected};
}

}  // namespace eisbach::ops
