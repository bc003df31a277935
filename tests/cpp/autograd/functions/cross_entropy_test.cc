#include "autograd/functions/cross_entropy.h"

#include "autograd/functions/linear.h"
#include "autograd/functions/softcap.h"
#include "ops/cross_entropy.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd::cross_entropy_test {
namespace {

using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr int64_t kTokens = 6;
constexpr int64_t kColumns = 11;
constexpr int64_t kValid = 9;  // the last two columns are padding
constexpr float kScale = 0.25f;

class CrossEntropyTest : public ::testing::Test {
 protected:
  absl::StatusOr<Tensor> Whole(const Tensor& logits) const {
    return CrossEntropy(logits, targets_, WholeVocabulary(kValid), {kScale},
                        TheStream());
  }
  Tensor WholeGradient() const {
    return test::Gradient([&](const Tensor& x) { return Whole(x); }, logits_,
                          seed_);
  }

  Tensor logits_ = test::Normal({2, 3, kColumns}, DType::kF32, 1, 2.0);
  Tensor targets_ = test::Indices({2, 3}, DType::kI32, kValid, 2);
  Tensor seed_ = test::FromValues({1}, DType::kF64, {1.0});
};

TEST_F(CrossEntropyTest, HasTheGradientOfItsForward) {
  const Tensor gradient = WholeGradient();
  ASSERT_EQ(gradient.shape(), logits_.shape());
  test::ExpectGradient(logits_, gradient, [&] {
    return ToDoubles(Value(Whole(test::Clone(logits_))))[0];
  });
}

// What is trained is the loss and what its terms add.
TEST_F(CrossEntropyTest, HasTheGradientOfItsTerms) {
  const ops::LossTerms terms{.z_loss = 0.3f, .label_smoothing = 0.2f};
  const auto loss = [&](const Tensor& logits, const Tensor& totals) {
    return CrossEntropy(logits, targets_, WholeVocabulary(kValid),
                        {kScale, {}, totals, terms}, TheStream());
  };
  const auto none = [] {
    return test::FromValues({3}, DType::kF64, {0, 0, 0});
  };
  const Tensor gradient = test::Gradient(
      [&](const Tensor& x) { return loss(x, none()); }, logits_, seed_);
  test::ExpectGradient(logits_, gradient, [&] {
    const Tensor totals = none();
    const double plain =
        ToDoubles(Value(loss(test::Clone(logits_), totals)))[0];
    const std::vector<double> sums = ToDoubles(totals);
    EXPECT_EQ(sums[0], kTokens);
    return plain + sums[1] + sums[2];
  });
}

TEST_F(CrossEntropyTest, PaddingGetsNoGradient) {
  const std::vector<double> gradient = ToDoubles(WholeGradient());
  for (int64_t n = 0; n < kTokens; ++n) {
    double sum = 0;
    for (int64_t c = 0; c < kColumns; ++c) sum += gradient[n * kColumns + c];
    EXPECT_NEAR(sum, 0, 1e-6);
    EXPECT_EQ(gradient[n * kColumns + kValid], 0);
    EXPECT_EQ(gradient[n * kColumns + kColumns - 1], 0);
  }
}

TEST_F(CrossEntropyTest, OverwritesTheLogits) {
  Graph graph;
  Tensor leaf = graph.Leaf(test::Clone(logits_));
  Tensor loss;
  {
    GraphScope scope(&graph);
    loss = Value(Whole(leaf));
  }
  BackwardContext context{TheStream()};
  EISBACH_ASSERT_OK(graph.Backward({loss}, {seed_}, context));
  EXPECT_EQ(graph.TakeGradient(leaf).raw(), leaf.raw());
}

// Two ranks with columns [0, 6) and [6, 11), of which 9 and 10 are padding.
TEST_F(CrossEntropyTest, ADividedVocabularyGivesTheSame) {
  struct Shard {
    int64_t first, columns, valid;
    Tensor logits, stats;
  };
  Shard shards[] = {{0, 6, 6, {}, {}}, {6, 5, 3, {}, {}}};
  Tensor all = test::Empty({2, kTokens, 3}, DType::kF32);
  for (int r = 0; r < 2; ++r) {
    Shard& s = shards[r];
    s.logits = test::Clone(Value(logits_.Narrow(2, s.first, s.columns)));
    Tensor rows = Value(s.logits.View({kTokens, s.columns}));
    Tensor targets = Value(targets_.View({kTokens}));
    s.stats = Value(
        ops::CrossEntropyStats(rows, targets, s.first, s.valid, TheStream()));
    Tensor place = Value(all.Narrow(0, r, 1));
    test::Assign(place, ToDoubles(s.stats));
  }
  const double loss = ToDoubles(Value(Whole(test::Clone(logits_))))[0];
  const Tensor gradient = WholeGradient();
  for (const Shard& s : shards) {
    const VocabularyShard shard = {
        s.first, s.valid, kValid,
        [&](const Tensor& own) -> absl::StatusOr<Tensor> {
          EXPECT_EQ(test::ToBytes(own), test::ToBytes(s.stats));
          return all;
        }};
    const auto f = [&](const Tensor& x) {
      return CrossEntropy(x, targets_, shard, {kScale}, TheStream());
    };
    EXPECT_NEAR(ToDoubles(Value(f(test::Clone(s.logits))))[0], loss, 1e-6);
    test::ExpectClose(test::Gradient(f, s.logits, seed_),
                      ToDoubles(Value(gradient.Narrow(2, s.first, s.columns))),
                      1e-6);
  }
}

class LinearCrossEntropyTest : public CrossEntropyTest {
 protected:
  static constexpr int64_t kHidden = 7;

  void SetUp() override { parameters_.Bind(); }

  struct Result {
    double loss;
    std::vector<double> input, weight;
  };
  // One pass, in chunks of at most `rows` rows; 0 takes the separate functions.
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
  absl::StatusOr<Tensor> Loss(const Tensor& x, int64_t rows) {
    const VocabularyShard shard = WholeVocabulary(kValid);
    if (rows == 0) {
      EISBACH_ASSIGN_OR_RETURN(Tensor logits,
                               Linear(x, weight_, nullptr, false, TheStream()));
      EISBACH_ASSIGN_OR_RETURN(logits, Softcap(logits, cap_, TheStream()));
      return CrossEntropy(logits, targets_, shard, {kScale, factor_},
                          TheStream());
    }
    return LinearCrossEntropy(x, weight_, targets_, shard, {kScale, factor_},
                              TheStream(), rows * (kColumns * 4 + 1), cap_);
  }

  test::TestParameters parameters_;
  Parameter& weight_ = parameters_.Add({kColumns, kHidden});
  Tensor factor_;
  double cap_ = 0;
  Tensor x_ = test::Normal({2, 3, kHidden}, DType::kF32, 3);
};

TEST_F(LinearCrossEntropyTest, IsTheSeparateFunctionsInChunks) {
  const Result separate = Run(0);
  for (int64_t rows : {1, 2, 4, 5, 6, 100}) {
    SCOPED_TRACE(rows);
    const Result chunked = Run(rows);
    EXPECT_NEAR(chunked.loss, separate.loss, 1e-6);
    EXPECT_THAT(chunked.input, ::testing::Pointwise(::testing::DoubleNear(1e-6),
                                                    separate.input));
    EXPECT_THAT(
        chunked.weight,
        ::testing::Pointwise(::testing::DoubleNear(1e-6), separate.weight));
  }
}

TEST_F(LinearCrossEntropyTest, HasTheGradientOfItsForward) {
  Run(4);
  const auto loss = [&] { return ToDoubles(Value(Loss(x_, 4)))[0]; };
  test::ExpectGradient(weight_.data(), weight_.grad(), loss);
}

// The loss is as before; its gradients have the factor in them.
TEST_F(LinearCrossEntropyTest, ScalesGradientsAlone) {
  for (int64_t rows : {0, 4}) {
    SCOPED_TRACE(rows);
    const Result plain = Run(rows);
    factor_ = test::FromValues({1}, DType::kF32, {8});
    const Result scaled = Run(rows);
    factor_ = Tensor();
    EXPECT_EQ(scaled.loss, plain.loss);
    const auto times8 = [](std::vector<double> values) {
      for (double& value : values) value *= 8;
      return values;
    };
    EXPECT_EQ(scaled.input, times8(plain.input));
    EXPECT_EQ(scaled.weight, times8(plain.weight));
  }
}

TEST_F(LinearCrossEntropyTest, NeverHoldsAllLogits) {
  const Tensor x = test::Normal({1000, kHidden}, DType::kF32, 3);
  const Tensor targets = test::Indices({1000}, DType::kI32, kValid, 2);
  const auto peak = [&](int64_t bytes) {
    const int64_t before = test::TheDevice().memory().bytes_in_use;
    test::TheDevice().ResetPeakMemory();
    Value(LinearCrossEntropy(x, weight_, targets, WholeVocabulary(kValid),
                             {kScale}, TheStream(), bytes));
    return test::TheDevice().memory().peak_bytes_in_use - before;
  };
  EXPECT_GE(peak(1 << 20), 1000 * kColumns * 4);
  EXPECT_LE(peak(4096), 16384);
}

TEST_F(LinearCrossEntropyTest, AnEmptyBatchHasNoLossAndNoGradient) {
  targets_ = test::Empty({0}, DType::kI32);
  x_ = test::Empty({0, kHidden}, DType::kF32);
  const Result empty = Run(4);
  EXPECT_EQ(empty.loss, 0);
  EXPECT_THAT(empty.weight, ::testing::Each(0.0));
}

// Bounded logits, in chunks, against separate functions.
TEST_F(LinearCrossEntropyTest, ACapBoundsTheLogits) {
  const Result plain = Run(0);
  cap_ = 1.5;
  const Result separate = Run(0);
  EXPECT_GT(std::abs(separate.loss - plain.loss), 1e-3);
  for (int64_t rows : {1, 4, 100}) {
    SCOPED_TRACE(rows);
    const Result chunked = Run(rows);
    EXPECT_NEAR(chunked.loss, separate.loss, 1e-6);
    EXPECT_THAT(chunked.input, ::testing::Pointwise(::testing::DoubleNear(1e-6),
                                                    separate.input));
    EXPECT_THAT(
        chunked.weight,
        ::testing::Pointwise(::testing::DoubleNear(1e-6), separate.weight));
    const auto loss = [&] { return ToDoubles(Value(Loss(x_, rows)))[0]; };
    test::ExpectGradient(weight_.data(), weight_.grad(), loss);
  }
}

}  // namespace
}  // namespace eisbach::autograd::cross_entropy_test
