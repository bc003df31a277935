#include "autograd/functions/activation.h"

#include "support/autograd_testing.h"

namespace eisbach::autograd::activation_test {
namespace {

TEST(Gelu, HasTheGradientOfItsForward) {
  for (const Shape& shape : {Shape{1}, Shape{3, 7}, Shape{2, 5, 33}}) {
    test::CheckGradients(
        [](const Tensor& x) { return Gelu(x, test::TheStream()); },
        test::Normal(shape, DType::kF32, 1, /*scale=*/2));
  }
}

TEST(Swiglu, HasTheGradientOfItsForward) {
  for (const Shape& shape : {Shape{1, 2}, Shape{3, 14}, Shape{2, 5, 66}}) {
    test::CheckGradients(
        [](const Tensor& x) { return Swiglu(x, test::TheStream()); },
        test::Normal(shape, DType::kF32, 1, /*scale=*/2));
  }
}

}  // namespace
}  // namespace eisbach::autograd::activation_test
