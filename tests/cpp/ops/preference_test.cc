#include "ops/preference.h"

#include <cmath>

#include "support/op_alignment.h"
#include "support/op_testing.h"

namespace eisbach::ops::preference_test {
namespace {

using test::FromValues;
using test::TheStream;
using test::ToDoubles;
using test::Value;

// Two pairs of 6 tokens; answers of 2 and 2, 1 and 3 that count.
const std::vector<double> kLosses = {0.5, 1, 2, 0.25, 4, 8, 1, 3, 5, 0.5, 2, 7};
const std::vector<double> kTargets = {-1, 3, 4, 5, 6, -1, 2, -1, 1, 1, 1, -1};
const std::vector<double> kStarts = {0, 0, 0, 3, 3, 5, 0, 0, 2, 2, 2, 5};

Tensor Pairs(const std::vector<double>& values) {
  return FromValues(
      {static_cast<int64_t>(values.size()) / kPairSums, kPairSums}, DType::kF64,
      values);
}

Tensor Starts() { return FromValues({2, 6}, DType::kI32, kStarts); }

TEST(PairSumsTest, AddUpWhatIsTrained) {
  const Tensor sums = Value(PairSums(FromValues({12}, DType::kF32, kLosses),
                                     FromValues({2, 6}, DType::kI32, kTargets),
                                     Starts(), TheStream()));
  EXPECT_EQ(ToDoubles(sums),
            std::vector<double>({-3, -4.25, 2, 2, -1, -7.5, 1, 3}));
}

TEST(PairSumsTest, TakeLongRows) {
  constexpr int64_t kLength = 5000;
  std::vector<double> losses, targets, starts;
  double chosen = 0, rejected = 0;
  for (int64_t t = 0; t < kLength; ++t) {
    const double loss = static_cast<double>(t % 7) / 4;
    losses.push_back(loss);
    targets.push_back(t % 5 == 0 ? -1 : 1);
    starts.push_back(t < 1234 ? 0 : 1234);
    if (t % 5 != 0) (t < 1234 ? chosen : rejected) -= loss;
  }
  const Tensor sums = Value(
      PairSums(FromValues({kLength}, DType::kF32, losses),
               FromValues({1, kLength}, DType::kI32, targets),
               FromValues({1, kLength}, DType::kI32, starts), TheStream()));
  EXPECT_EQ(ToDoubles(sums)[kChosen], chosen);
  EXPECT_EQ(ToDoubles(sums)[kRejected], rejected);
  EXPECT_EQ(ToDoubles(sums)[kChosenTokens] + ToDoubles(sums)[kRejectedTokens],
            4000);
}

struct Judged {
  double loss;
  std::vector<double> weights, totals;
};

Judged Judge(const PreferenceRule& rule, const std::vector<double>& policy,
             const std::vector<double>& reference, float scale = 1) {
  const Tensor totals =
      FromValues({kPreferenceTotals}, DType::kF64, {10, 0, 0, 0});
  const PreferenceOutput out =
      Value(Preference(rule, scale, Pairs(policy), Pairs(reference), Starts(),
                       totals, TheStream()));
  return {ToDoubles(out.loss)[0], ToDoubles(out.weights), ToDoubles(totals)};
}

const std::vector<double> kPolicy = {-3, -4.25, 2, 2, -1, -7.5, 1, 3};
const std::vector<double> kReference = {-3.5, -4, 2, 2, -0.25, -9, 1, 3};

double LogSigmoid(double x) { return -std::log(1 + std::exp(-x)); }

// TRL's DPOTrainer, losses `sigmoid` (with label smoothing: cDPO) and `ipo`,
// written down from its formulas.
double Formula(const PreferenceRule& rule, const std::vector<double>& policy,
               const std::vector<double>& reference) {
  double sum = 0;
  for (size_t b = 0; b < policy.size(); b += kPairSums) {
    double pc = policy[b], pr = policy[b + 1];
    double rc = reference[b], rr = reference[b + 1];
    if (rule.variant == PreferenceVariant::kIpo) {
      pc /= policy[b + 2], rc /= policy[b + 2];
      pr /= policy[b + 3], rr /= policy[b + 3];
    }
    const double delta = (pc - pr) - (rc - rr);
    sum += rule.variant == PreferenceVariant::kIpo
               ? std::pow(delta - 1 / (2 * rule.beta), 2)
               : -LogSigmoid(rule.beta * delta) * (1 - rule.label_smoothing) -
                     LogSigmoid(-rule.beta * delta) * rule.label_smoothing;
  }
  return sum;
}

const PreferenceRule kRules[] = {{0.1, 0, PreferenceVariant::kSigmoid},
                                 {2.5, 0, PreferenceVariant::kSigmoid},
                                 {0.7, 0.2, PreferenceVariant::kSigmoid},
                                 {0.3, 0, PreferenceVariant::kIpo}};

TEST(PreferenceTest, IsTheFormula) {
  for (const PreferenceRule& rule : kRules) {
    EXPECT_NEAR(Judge(rule, kPolicy, kReference).loss,
                Formula(rule, kPolicy, kReference), 1e-12);
    EXPECT_NEAR(Judge(rule, kPolicy, kReference, 0.25f).loss,
                Formula(rule, kPolicy, kReference) / 4, 1e-12);
  }
  // By hand: beta h = 0.1 ((-3 + 4.25) - (-3.5 + 4)) = 0.075 and -0.225.
  EXPECT_NEAR(Judge(kRules[0], kPolicy, kReference).loss,
              std::log1p(std::exp(-0.075)) + std::log1p(std::exp(0.225)),
              1e-12);
}

TEST(PreferenceTest, WeightsAreItsSlopes) {
  for (const PreferenceRule& rule : kRules) {
    const Judged judged = Judge(rule, kPolicy, kReference);
    for (int b = 0; b < 2; ++b) {
      for (int answer = 0; answer < 2; ++answer) {
        constexpr double kStep = 1e-5;
        std::vector<double> up = kPolicy, down = kPolicy;
        // By a cross-entropy, which is minus a log p.
        up[b * kPairSums + answer] -= kStep;
        down[b * kPairSums + answer] += kStep;
        const double slope =
            (Formula(rule, up, kReference) - Formula(rule, down, kReference)) /
            (2 * kStep);
        for (int t = 0; t < 6; ++t) {
          if ((kStarts[b * 6 + t] == 0) != (answer == 0)) continue;
          EXPECT_NEAR(judged.weights[b * 6 + t], slope, 1e-6);
        }
      }
    }
  }
}

TEST(PreferenceTest, CountsRewards) {
  const std::vector<double> totals =
      Judge(kRules[0], kPolicy, kReference).totals;
  EXPECT_EQ(totals[kPairs], 12);
  EXPECT_NEAR(totals[kChosenReward], 0.1 * (0.5 - 0.75), 1e-12);
  EXPECT_NEAR(totals[kRejectedReward], 0.1 * (-0.25 + 1.5), 1e-12);
  EXPECT_EQ(totals[kRight], 1);
}

// What a model is sure of neither overflows nor loses its gradient to rounding.
TEST(PreferenceTest, FarFromTheReference) {
  const PreferenceRule rule = {1, 0, PreferenceVariant::kSigmoid};
  const std::vector<double> none(8, 0.0);
  const Judged judged = Judge(rule, {3000, -3000, 2, 2, -40, 40, 2, 2}, none);
  EXPECT_NEAR(judged.loss, 80, 1e-9);
  EXPECT_EQ(judged.weights[0], 0);
  EXPECT_NEAR(judged.weights[6], 1, 1e-6);
  const Judged sure = Judge(rule, {20, -20, 2, 2, 0, 0, 1, 1}, none);
  EXPECT_NEAR(sure.weights[0] / std::exp(-40), 1, 1e-6);
}

TEST(PreferenceTest, TakesOperandsAtAnyOffset) {
  const Tensor targets = FromValues({2, 6}, DType::kI32, kTargets);
  test::ExpectAnyAlignment(
      {FromValues({12}, DType::kF32, kLosses), targets, Starts(),
       Pairs(kPolicy)},
      [](const std::vector<Tensor>& t) {
        return PairSumsSlot().Run({t[0], t[1], t[2], t[3]}, {}, TheStream());
      });
  test::ExpectAnyAlignment(
      {Pairs(kPolicy), Pairs(kReference), Starts(),
       FromValues({1}, DType::kF64, {0}),
       FromValues({12}, DType::kF32, kLosses),
       FromValues({kPreferenceTotals}, DType::kF64, {0, 0, 0, 0})},
      [](const std::vector<Tensor>& t) {
        return PreferenceSlot().Run(
            {kRules[0], 1.0f, t[0], t[1], t[2], t[3], t[4], t[5]}, {},
            TheStream());
      });
}

TEST(PreferenceTest, ErrorsSayWhatIsWrong) {
  const auto refuses = [](const PreferenceRule& rule, const char* why) {
    EXPECT_THAT(Validate(rule),
                test::StatusIs(absl::StatusCode::kInvalidArgument, why));
  };
  refuses({0, 0, PreferenceVariant::kSigmoid}, "dpo.beta");
  refuses({1e60, 0, PreferenceVariant::kSigmoid}, "dpo.beta");
  refuses({0.1, 0.5, PreferenceVariant::kSigmoid}, "dpo.label_smoothing");
  refuses({0.1, 0.1, PreferenceVariant::kIpo}, "dpo.variant=sigmoid");
  EXPECT_THAT(
      PairSums(test::Empty({11}, DType::kF32), Starts(), Starts(), TheStream()),
      test::StatusIs(absl::StatusCode::kInvalidArgument, "losses"));
}

TEST(PreferenceTest, MetaGivesShapesAndCost) {
  test::CostRecorder recorder(test::Meta());
  const auto empty = [](const Shape& shape, DType dtype) {
    return test::Empty(shape, dtype, test::Meta());
  };
  const Tensor starts = empty({2, 6}, DType::kI32);
  const Tensor sums = Value(
      PairSums(empty({12}, DType::kF32), starts, starts, test::MetaStream()));
  EXPECT_EQ(sums.shape(), Shape({2, kPairSums}));
  const PreferenceOutput out = Value(
      Preference(kRules[0], 1, sums, sums, starts,
                 empty({kPreferenceTotals}, DType::kF64), test::MetaStream()));
  EXPECT_EQ(out.weights.shape(), Shape({12}));
  EXPECT_EQ(recorder.ops.size(), 2);
}

}  // namespace
}  // namespace eisbach::ops::preference_test
