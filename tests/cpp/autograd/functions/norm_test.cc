#include "autograd/functions/norm.h"

#include "autograd/functions/elementwise.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd::norm_test {
namespace {

using test::TheStream;

class NormTest : public ::testing::TestWithParam<ops::NormKind> {
 protected:
  void SetUp() override { parameters_.Bind(); }

  absl::StatusOr<NormResult> Apply(const Tensor& x, const Tensor& residual) {
    Parameter* bias = GetParam() == ops::NormKind::kLayer ? &bias_ : nullptr;
    return Norm(GetParam(), 1e-5f, x, residual, weight_, bias, TheStream());
  }
  std::vector<Parameter*> Trained() {
    if (GetParam() == ops::NormKind::kLayer) return {&weight_, &bias_};
    return {&weight_};
  }

  test::TestParameters parameters_;
  Parameter& weight_ = parameters_.Add({9}, /*mean=*/1, /*scale=*/0.3);
  Parameter& bias_ = parameters_.Add({9});
  Tensor x_ = test::Normal({2, 3, 9}, DType::kF32, 1);
  Tensor residual_ = test::Normal({2, 3, 9}, DType::kF32, 2);
};

TEST_P(NormTest, HasTheGradientOfItsForward) {
  const auto f = [&](const Tensor& x) -> absl::StatusOr<Tensor> {
    EISBACH_ASSIGN_OR_RETURN(NormResult result, Apply(x, Tensor()));
    return result.y;
  };
  test::CheckGradients(f, x_, Trained());
  test::CheckAccumulation(f, x_, Trained());
}

TEST_P(NormTest, WithAResidualThatIsReadOn) {
  test::CheckGradients(
      [&](const Tensor& x) -> absl::StatusOr<Tensor> {
        EISBACH_ASSIGN_OR_RETURN(NormResult result, Apply(x, residual_));
        return Add(result.sum, result.y, TheStream());
      },
      x_, Trained());
}

TEST_P(NormTest, TheResidualHasTheSameGradient) {
  const auto of = [&](bool swap) {
    return test::Gradient(
        [&, swap](const Tensor& x) -> absl::StatusOr<Tensor> {
          EISBACH_ASSIGN_OR_RETURN(NormResult result,
                                   swap ? Apply(x_, x) : Apply(x, residual_));
          return Add(result.sum, result.y, TheStream());
        },
        swap ? residual_ : x_, test::Normal({2, 3, 9}, DType::kF32, 3));
  };
  EXPECT_EQ(test::ToBytes(of(false)), test::ToBytes(of(true)));
}

TEST_P(NormTest, ASumWithoutItsNormPassesTheGradientOn) {
  parameters_.Reset();
  const Tensor seed = test::Normal({2, 3, 9}, DType::kF32, 3);
  const Tensor dx = test::Gradient(
      [&](const Tensor& x) -> absl::StatusOr<Tensor> {
        EISBACH_ASSIGN_OR_RETURN(NormResult result, Apply(x, residual_));
        return result.sum;
      },
      x_, seed);
  EXPECT_EQ(test::ToBytes(dx), test::ToBytes(seed));
  EXPECT_FALSE(weight_.accumulate());
}

INSTANTIATE_TEST_SUITE_P(Kinds, NormTest,
                         ::testing::Values(ops::NormKind::kLayer,
                                           ops::NormKind::kRms),
                         [](const auto& info) {
                           return info.param == ops::NormKind::kLayer ? "Layer"
                                                                      : "Rms";
                         });

}  // namespace
}  // namespace eisbach::autograd::norm_test
