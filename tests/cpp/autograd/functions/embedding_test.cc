#include "autograd/functions/embedding.h"

#include "support/autograd_testing.h"

namespace eisbach::autograd::embedding_test {
namespace {

using test::TheStream;

// Embedding has no input that wants a gradient; `x` stands in for it.
const Tensor& Nothing() {
  static const Tensor nothing = test::FromValues({1}, DType::kF32, {0});
  return nothing;
}

TEST(Embedding, HasTheGradientOfItsForward) {
  test::TestParameters parameters;
  Parameter& weight = parameters.Add({7, 5});
  parameters.Bind();
  // Ids repeat, so that rows get sums; one row is never read.
  const Tensor ids = test::Indices({3, 6}, DType::kI32, 6, 1);
  const auto f = [&](const Tensor&) {
    return Embedding(ids, weight, /*first_row=*/0, /*vocab=*/7, TheStream());
  };
  test::CheckGradients(f, Nothing(), {&weight});
  test::CheckAccumulation(f, Nothing(), {&weight});
}

TEST(Embedding, OfAShardIgnoresOtherRows) {
  test::TestParameters parameters;
  Parameter& weight = parameters.Add({4, 5});
  parameters.Bind();
  const Tensor ids = test::Indices({3, 6}, DType::kI32, 12, 1);
  test::CheckGradients(
      [&](const Tensor&) {
        return Embedding(ids, weight, /*first_row=*/4, /*vocab=*/12,
                         TheStream());
      },
      Nothing(), {&weight});
}

TEST(AddPosition, HasTheGradientOfItsForward) {
  test::TestParameters parameters;
  Parameter& weight = parameters.Add({9, 5});  // longer than the sequence
  parameters.Bind();
  const auto f = [&](const Tensor& x) {
    return AddPosition(x, weight, TheStream());
  };
  const Tensor x = test::Normal({3, 6, 5}, DType::kF32, 1);
  test::CheckGradients(f, x, {&weight});
  test::CheckAccumulation(f, x, {&weight});
}

TEST(AddPosition, CountsFromTheFirstTokenOfADocument) {
  test::TestParameters parameters;
  Parameter& weight = parameters.Add({9, 5});
  parameters.Bind();
  const Tensor starts = test::FromValues({2, 6}, DType::kI32,
                                         {0, 0, 2, 2, 2, 5, 0, 1, 1, 1, 1, 1});
  const auto f = [&](const Tensor& x) {
    return AddPosition(x, weight, TheStream(), starts);
  };
  const Tensor x = test::Normal({2, 6, 5}, DType::kF32, 1);
  std::vector<double> want = test::ToDoubles(x);
  const std::vector<double> table = test::ToDoubles(weight.data());
  const int64_t places[] = {0, 1, 0, 1, 2, 0, 0, 0, 1, 2, 3, 4};
  for (size_t i = 0; i < want.size(); ++i) {
    want[i] += table[places[i / 5] * 5 + i % 5];
  }
  test::ExpectClose(test::Value(f(test::Clone(x))), want);
  test::CheckGradients(f, x, {&weight});
  test::CheckAccumulation(f, x, {&weight});
  EXPECT_THAT(
      AddPosition(x, weight, TheStream(), test::Empty({2, 5}, DType::kI32)),
      test::StatusIs(absl::StatusCode::kInvalidArgument, "starts=i32[2, 5]"));
}

// A table that is both embedding and head: both add to one gradient.
TEST(Embedding, ATiedTableSumsBothUses) {
  test::TestParameters parameters;
  Parameter& weight = parameters.Add({7, 5});
  parameters.Bind();
  const Tensor a = test::Indices({1, 4}, DType::kI32, 7, 1);
  const Tensor b = test::Indices({1, 4}, DType::kI32, 7, 2);
  const Tensor seed = test::Normal({1, 4, 5}, DType::kF32, 3);
  const auto look_up = [&](const Tensor& ids) {
    return [&weight, ids](const Tensor&) {
      return Embedding(ids, weight, /*first_row=*/0, /*vocab=*/7, TheStream());
    };
  };
  test::Gradient(look_up(a), Nothing(), seed);
  std::vector<double> sum = test::ToDoubles(weight.grad());
  parameters.Reset();
  test::Gradient(look_up(b), Nothing(), seed);
  const std::vector<double> second = test::ToDoubles(weight.grad());
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += second[i];
  test::Gradient(look_up(a), Nothing(), seed);
  test::ExpectClose(weight.grad(), sum);
}

}  // namespace
}  // namespace eisbach::autograd::embedding_test
