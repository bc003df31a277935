#include "autograd/functions/head_norm.h"

#include "support/autograd_testing.h"

namespace eisbach::autograd::head_norm_test {
namespace {

using test::TheStream;

TEST(HeadNorm, HasTheGradientOfItsForward) {
  const ops::AttentionHeads heads = {
      .heads = 4, .kv_heads = 2, .head_dim = 6, .group = 2};
  test::TestParameters parameters;
  Parameter& query = parameters.Add({6}, /*mean=*/1, /*scale=*/0.3);
  Parameter& key = parameters.Add({6}, /*mean=*/1, /*scale=*/0.3);
  parameters.Bind();
  const auto f = [&](const Tensor& x) {
    return HeadNorm(1e-5, x, heads, query, key, TheStream());
  };
  const Tensor x =
      test::Normal({2, 3, heads.packed_width()}, DType::kF32, /*seed=*/1);
  test::CheckGradients(f, x, {&query, &key});
  test::CheckAccumulation(f, x, {&query, &key});
}

}  // namespace
}  // namespace eisbach::autograd::head_norm_test
