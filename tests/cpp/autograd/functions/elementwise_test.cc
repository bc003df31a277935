#include "autograd/functions/elementwise.h"

#include "core/hash.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd::elementwise_test {
namespace {

using test::TheStream;
using test::ToBytes;
using test::ToDoubles;

TEST(Add, BothSidesGetTheGradient) {
  const Tensor other = test::Normal({3, 5}, DType::kF32, 2);
  test::CheckGradients(
      [&](const Tensor& x) { return Add(x, other, TheStream()); },
      test::Normal({3, 5}, DType::kF32, 1));
  test::CheckGradients([&](const Tensor& x) { return Add(x, x, TheStream()); },
                       test::Normal({3, 5}, DType::kF32, 1));
}

TEST(Softmax, HasTheGradientOfItsForward) {
  for (const Shape& shape : {Shape{1, 1}, Shape{4, 7}, Shape{2, 3, 40}}) {
    test::CheckGradients(
        [](const Tensor& x) { return Softmax(x, TheStream()); },
        test::Normal(shape, DType::kF32, 1));
  }
}

TEST(View, ReshapesTheGradientBack) {
  test::CheckGradients(
      [](const Tensor& x) {
        return View(x, {10, 3});
      },
      test::Normal({2, 3, 5}, DType::kF32, 1));
}

class DropoutTest : public ::testing::Test {
 protected:
  ops::DropoutSource source_ = {
      .seed = 3,
      .layer = StableHash("blocks.0.dropout"),
      .step = test::FromValues({1}, DType::kI64, {5}),
      .sample_index = test::FromValues({2}, DType::kI64, {40, 17})};
  Tensor x_ = test::Normal({2, 6, 10}, DType::kF32, 1);
};

TEST_F(DropoutTest, HasTheGradientOfItsForward) {
  test::CheckGradients(
      [&](const Tensor& x) {
        return autograd::Dropout(x, 0.3f, source_, TheStream());
      },
      x_);
}

TEST_F(DropoutTest, BackwardDropsWhatForwardDropped) {
  const auto f = [&](const Tensor& x) {
    return autograd::Dropout(x, 0.3f, source_, TheStream());
  };
  const std::vector<double> y = ToDoubles(test::Value(f(test::Clone(x_))));
  const Tensor ones = test::FromValues(x_.shape(), DType::kF32,
                                       std::vector<double>(x_.elements(), 1.0));
  const std::vector<double> dx = ToDoubles(test::Gradient(f, x_, ones));
  int dropped = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    ASSERT_EQ(y[i] == 0, dx[i] == 0);
    dropped += y[i] == 0;
  }
  EXPECT_GT(dropped, 0);
  EXPECT_LT(dropped, x_.elements());
}

TEST_F(DropoutTest, NoDropoutIsTheInputItself) {
  const Tensor y = test::Value(autograd::Dropout(x_, 0, source_, TheStream()));
  EXPECT_EQ(y.raw(), x_.raw());
}

}  // namespace
}  // namespace eisbach::autograd::elementwise_test
