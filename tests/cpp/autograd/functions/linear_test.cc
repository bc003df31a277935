#include "autograd/functions/linear.h"

#include "support/autograd_testing.h"

namespace eisbach::autograd::linear_test {
namespace {

using test::TheStream;

class LinearTest : public ::testing::Test {
 protected:
  void SetUp() override { parameters_.Bind(); }

  test::TestParameters parameters_;
  Parameter& weight_ = parameters_.Add({7, 5});
  Parameter& bias_ = parameters_.Add({7});
  Tensor x_ = test::Normal({2, 3, 5}, DType::kF32, 1);
};

TEST_F(LinearTest, HasTheGradientOfItsForward) {
  const auto f = [&](const Tensor& x) {
    return Linear(x, weight_, &bias_, /*use_bias=*/true, TheStream());
  };
  test::CheckGradients(f, x_, {&weight_, &bias_});
  test::CheckAccumulation(f, x_, {&weight_, &bias_});
}

TEST_F(LinearTest, WithoutBias) {
  test::CheckGradients(
      [&](const Tensor& x) {
        return Linear(x, weight_, nullptr, false, TheStream());
      },
      x_, {&weight_});
}

// A row-parallel rank that does not add the bias has its whole gradient.
TEST_F(LinearTest, AnUnusedBiasStillGetsItsGradient) {
  const Tensor seed = test::Normal({2, 3, 7}, DType::kF32, 2);
  const auto run = [&](bool use_bias) {
    parameters_.Reset();
    test::Gradient(
        [&](const Tensor& x) {
          return Linear(x, weight_, &bias_, use_bias, TheStream());
        },
        x_, seed);
    return parameters_.GradientBytes();
  };
  EXPECT_EQ(run(true), run(false));
  const std::vector<double> without = test::ToDoubles(
      test::Value(Linear(x_, weight_, &bias_, false, TheStream())));
  const std::vector<double> plain = test::ToDoubles(
      test::Value(Linear(x_, weight_, nullptr, false, TheStream())));
  EXPECT_EQ(without, plain);
}

TEST_F(LinearTest, AnInputWithoutGradientIsNotWanted) {
  Graph graph;
  Tensor y;
  {
    GraphScope scope(&graph);
    y = test::Value(Linear(x_, weight_, nullptr, false, TheStream()));
  }
  test::CostRecorder recorder(test::TheDevice());
  BackwardContext context{TheStream()};
  EISBACH_ASSERT_OK(
      graph.Backward({y}, {test::Normal({2, 3, 7}, DType::kF32, 2)}, context));
  EXPECT_EQ(recorder.ops.size(), 1);  // the weight gradient alone
  EXPECT_TRUE(weight_.accumulate());
}

// Each parameter tells its sink once a contribution, after it is written.
TEST_F(LinearTest, TellsTheSink) {
  struct Counter final : GradientSink {
    absl::Status OnGradient(Parameter& parameter) override {
      EXPECT_TRUE(parameter.accumulate());
      seen.push_back(&parameter);
      return absl::OkStatus();
    }
    std::vector<Parameter*> seen;
  } counter;
  weight_.set_sink(&counter);
  bias_.set_sink(&counter);
  test::Gradient(
      [&](const Tensor& x) {
        return Linear(x, weight_, &bias_, true, TheStream());
      },
      x_, test::Normal({2, 3, 7}, DType::kF32, 2));
  EXPECT_THAT(counter.seen, ::testing::ElementsAre(&weight_, &bias_));
}

}  // namespace
}  // namespace eisbach::autograd::linear_test
