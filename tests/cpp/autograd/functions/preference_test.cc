#include "autograd/functions/preference.h"

#include "support/autograd_testing.h"

namespace eisbach::autograd::preference_test {
namespace {

using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr int64_t kLength = 5;
constexpr int64_t kColumns = 11;
constexpr int64_t kValid = 9;  // the last two columns are padding
constexpr int64_t kHidden = 7;
constexpr float kScale = 0.25f;

class LinearPreferenceTest : public ::testing::Test {
 protected:
  void SetUp() override { parameters_.Bind(); }

  // In chunks of at most `rows` rows.
  HeadInput Head(const Tensor& x, int64_t rows) {
    return {x, weight_, WholeVocabulary(kValid), cap_,
            rows * (kColumns * 4 + 1)};
  }
  absl::StatusOr<Tensor> Loss(const Tensor& x, int64_t rows) {
    return LinearPreference(Head(x, rows), {targets_, starts_}, reference_,
                            rule_, {kScale, factor_, totals_}, TheStream());
  }

  struct Result {
    double loss;
    std::vector<double> input, weight;
  };
  Result Run(int64_t rows) {
    parameters_.Reset();
    Result result;
    const auto f = [&](const Tensor& x) -> absl::StatusOr<Tensor> {
      EISBACH_ASSIGN_OR_RETURN(Tensor loss, Loss(x, rows));
      result.loss = ToDoubles(loss)[0];
      return loss;
    };
    result.input = ToDoubles(test::Gradient(f, x_, seed_));
    result.weight = ToDoubles(weight_.grad());
    return result;
  }

  test::TestParameters parameters_;
  Parameter& weight_ = parameters_.Add({kColumns, kHidden});
  Tensor x_ = test::Normal({2, kLength, kHidden}, DType::kF32, 3);
  Tensor targets_ = test::FromValues({2, kLength}, DType::kI32,
                                     {-1, 3, 8, 0, -1, 2, 7, -1, 5, 1});
  Tensor starts_ = test::FromValues({2, kLength}, DType::kI32,
                                    {0, 0, 2, 2, 4, 0, 0, 0, 3, 3});
  Tensor reference_ =
      test::FromValues({2, 4}, DType::kF64, {-2, -6, 1, 2, -5, -4, 2, 2});
  Tensor totals_ = test::FromValues({4}, DType::kF64, {0, 0, 0, 0});
  Tensor seed_ = test::FromValues({1}, DType::kF64, {1.0});
  Tensor factor_;
  ops::PreferenceRule rule_ = {0.7, 0.1, ops::PreferenceVariant::kSigmoid};
  double cap_ = 0;
};

TEST_F(LinearPreferenceTest, HasTheGradientOfItsForward) {
  for (const auto variant :
       {ops::PreferenceVariant::kSigmoid, ops::PreferenceVariant::kIpo}) {
    rule_ = {0.7, variant == ops::PreferenceVariant::kIpo ? 0 : 0.1, variant};
    for (double cap : {0.0, 1.5}) {
      cap_ = cap;
      for (int64_t rows : {4, 100}) {
        Run(rows);
        const auto loss = [&] { return ToDoubles(Value(Loss(x_, rows)))[0]; };
        test::ExpectGradient(weight_.data(), weight_.grad(), loss);
        const Tensor gradient = test::Gradient(
            [&](const Tensor& x) { return Loss(x, rows); }, x_, seed_);
        test::ExpectGradient(x_, gradient, loss);
      }
    }
  }
}

TEST_F(LinearPreferenceTest, IsTheSameInChunks) {
  const Result whole = Run(100);
  for (int64_t rows : {1, 3, 5}) {
    const Result chunked = Run(rows);
    // Logits are f32, and a matmul of other rows may add in another order.
    EXPECT_NEAR(chunked.loss, whole.loss, 1e-6);
    EXPECT_THAT(chunked.input,
                ::testing::Pointwise(::testing::DoubleNear(1e-6), whole.input));
    EXPECT_THAT(chunked.weight, ::testing::Pointwise(
                                    ::testing::DoubleNear(1e-6), whole.weight));
  }
}

TEST_F(LinearPreferenceTest, ScalesGradientsAlone) {
  const Result plain = Run(4);
  factor_ = test::FromValues({1}, DType::kF32, {8});
  const Result scaled = Run(4);
  EXPECT_EQ(scaled.loss, plain.loss);
  for (size_t i = 0; i < plain.weight.size(); ++i) {
    EXPECT_EQ(scaled.weight[i], 8 * plain.weight[i]);
  }
}

// A model that is its own reference has learned nothing yet.
TEST_F(LinearPreferenceTest, AgainstItself) {
  reference_ = Value(
      PairLogProbabilities(Head(x_, 100), {targets_, starts_}, TheStream()));
  rule_.label_smoothing = 0;
  EXPECT_NEAR(Run(100).loss, kScale * 2 * std::log(2.0), 1e-6);
  EXPECT_EQ(ToDoubles(totals_), std::vector<double>({2, 0, 0, 0}));
}

}  // namespace
}  // namespace eisbach::autograd::preference_test
