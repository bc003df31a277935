#include "autograd/functions/low_rank.h"

#include "core/hash.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd::low_rank_test {
namespace {

using test::TheStream;
using test::ToDoubles;

constexpr int64_t kInputs = 5;
constexpr int64_t kOutputs = 9;
constexpr int64_t kRank = 2;

// Two terms, of the columns 0 to 2 and 5 to 8: some of y has none.
class LowRankTest : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override { parameters_.Bind(GetParam()); }

  LowRank Make(double p = 0) {
    LowRank low_rank{
        .a = &a_, .terms = {{&first_, 0}, {&second_, 5}}, .scale = 0.7f};
    if (p > 0) low_rank.dropout = LowRankDropout{p, source_};
    return low_rank;
  }
  std::vector<Parameter*> All() { return {&a_, &first_, &second_}; }

  test::TestParameters parameters_;
  Parameter& a_ = parameters_.Add({2 * kRank, kInputs});
  Parameter& first_ = parameters_.Add({3, kRank});
  Parameter& second_ = parameters_.Add({4, kRank});
  ops::DropoutSource source_ = {
      .seed = 3,
      .layer = StableHash("qkv.lora"),
      .step = test::FromValues({1}, DType::kI64, {5}),
      .sample_index = test::FromValues({2}, DType::kI64, {40, 17})};
  Tensor x_ = test::Normal({2, 3, kInputs}, GetParam(), 1);
  Tensor y_ = test::Normal({2, 3, kOutputs}, GetParam(), 2);
};

// The formula, element by element.
TEST_P(LowRankTest, AddsToTheColumnsOfItsTerms) {
  for (double p : {0.0, 0.3}) {
    std::vector<double> x = ToDoubles(
        p == 0 ? x_ : test::Value(ops::Dropout(x_, p, source_, TheStream())));
    const std::vector<double> a = ToDoubles(a_.data());
    std::vector<double> want = ToDoubles(y_);
    const auto add = [&](Parameter& b, int64_t first_column, int64_t term) {
      const std::vector<double> values = ToDoubles(b.data());
      for (int64_t row = 0; row < 6; ++row) {
        for (int64_t c = 0; c < b.data().dim(0); ++c) {
          double sum = 0;
          for (int64_t r = 0; r < kRank; ++r) {
            double inner = 0;
            for (int64_t k = 0; k < kInputs; ++k) {
              inner +=
                  x[row * kInputs + k] * a[(term * kRank + r) * kInputs + k];
            }
            sum += inner * values[c * kRank + r];
          }
          want[row * kOutputs + first_column + c] += 0.7 * sum;
        }
      }
    };
    add(first_, 0, 0);
    add(second_, 5, 1);
    const Tensor y =
        test::Value(AddLowRank(test::Clone(y_), x_, Make(p), TheStream()));
    test::ExpectClose(y, want, 4 * test::Tolerance(GetParam()));
  }
}

TEST_P(LowRankTest, HasTheGradientOfItsForward) {
  if (GetParam() != DType::kF32) return;  // finite differences need digits
  for (double p : {0.0, 0.3}) {
    const auto of_x = [&](const Tensor& x) {
      return AddLowRank(test::Clone(y_), x, Make(p), TheStream());
    };
    test::CheckGradients(of_x, x_, All());
    test::CheckAccumulation(of_x, x_, All());
    const auto of_y = [&](const Tensor& y) {
      return AddLowRank(y, x_, Make(p), TheStream());
    };
    test::CheckGradients(of_y, y_, All());
  }
}

// Left for later, and in another type, they are the same gradients.
TEST_P(LowRankTest, WeightGradientsMayComeLater) {
  const Tensor seed = test::Normal(y_.shape(), GetParam(), 3);
  const auto run = [&](Deferred* deferred) {
    parameters_.Reset();
    test::Gradient(
        [&](const Tensor& x) {
          return AddLowRank(test::Clone(y_), x, Make(0.3), TheStream());
        },
        x_, seed, deferred);
    return parameters_.GradientBytes();
  };
  Deferred deferred;
  EXPECT_EQ(run(nullptr), run(&deferred));
}

// Below the lowest adapter nothing is computed: of four products of matrices
// in backward, that for the gradient of x is left out.
TEST_P(LowRankTest, AnInputWithoutGradientIsNotWanted) {
  const auto products = [&](bool wanted) {
    Graph graph;
    Tensor y;
    {
      GraphScope scope(&graph);
      const Tensor x = wanted ? graph.Leaf(x_) : x_;
      y = test::Value(AddLowRank(test::Clone(y_), x, Make(), TheStream()));
    }
    test::CostRecorder recorder(test::TheDevice());
    BackwardContext context{TheStream()};
    EISBACH_EXPECT_OK(graph.Backward(
        {y}, {test::Normal(y_.shape(), GetParam(), 3)}, context));
    return recorder.ops.size();
  };
  EXPECT_EQ(products(true), products(false) + 1);
}

TEST_P(LowRankTest, TermsThatDoNotFitAreNamed) {
  LowRank low_rank = Make();
  low_rank.terms[1].first_column = 6;
  EXPECT_THAT(AddLowRank(y_, x_, low_rank, TheStream()).status(),
              test::StatusIs(absl::StatusCode::kInvalidArgument, "column 6"));
  low_rank.terms.pop_back();
  EXPECT_THAT(AddLowRank(y_, x_, low_rank, TheStream()).status(),
              test::StatusIs(absl::StatusCode::kInvalidArgument, "4 rows"));
}

INSTANTIATE_TEST_SUITE_P(Types, LowRankTest,
                         ::testing::Values(DType::kF32, DType::kBF16,
                                           DType::kF16),
                         [](const auto& info) {
                           return std::string(Name(info.param));
                         });

}  // namespace
}  // namespace eisbach::autograd::low_rank_test
