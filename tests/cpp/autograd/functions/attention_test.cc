#include "autograd/functions/attention.h"

#include "ops/rope.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd::attention_test {
namespace {

using test::TheStream;

constexpr ops::AttentionHeads kPlain = {
    .heads = 2, .kv_heads = 2, .head_dim = 4};
constexpr ops::AttentionHeads kGrouped = {
    .heads = 4, .kv_heads = 2, .head_dim = 4, .group = 2};
// The second of two ranks that cut six query heads over two key/value heads
// inside a group.
constexpr ops::AttentionHeads kOffset = {
    .heads = 2, .kv_heads = 2, .head_dim = 4, .group = 3, .query_offset = 2};

TEST(Attention, HasTheGradientOfItsForward) {
  for (const ops::AttentionHeads& heads : {kPlain, kGrouped, kOffset}) {
    for (int64_t length : {1, 5, 19}) {
      SCOPED_TRACE(length);
      test::CheckGradients(
          [&](const Tensor& x) { return Attention(x, heads, TheStream()); },
          test::Normal({2, length, heads.packed_width()}, DType::kF32, 1));
    }
  }
}

TEST(Rope, HasTheGradientOfItsForward) {
  for (const ops::AttentionHeads& heads : {kPlain, kGrouped}) {
    const Tensor table = test::Value(
        ops::RopeTable(8, heads.head_dim, ops::PlainRope(1e4), TheStream()));
    test::CheckGradients(
        [&](const Tensor& x) { return Rope(x, heads, table, TheStream()); },
        test::Normal({2, 7, heads.packed_width()}, DType::kF32, 1));
  }
}

// Rotation keeps lengths, so the gradient of a rotated gradient has the length
// of the seed, and a seed that others hold is not rotated in their hands.
TEST(Rope, LeavesASharedGradientAlone) {
  const Tensor table = test::Value(
      ops::RopeTable(8, kPlain.head_dim, ops::PlainRope(1e4), TheStream()));
  const Tensor x = test::Normal({1, 7, kPlain.packed_width()}, DType::kF32, 1);
  const Tensor seed = test::Normal(x.shape(), DType::kF32, 2);
  const std::vector<uint8_t> before = test::ToBytes(seed);
  const Tensor dx = test::Gradient(
      [&](const Tensor& t) { return Rope(t, kPlain, table, TheStream()); }, x,
      seed);
  EXPECT_EQ(test::ToBytes(seed), before);
  EXPECT_NE(test::ToBytes(dx), before);
  EXPECT_NEAR(test::Dot(dx, dx), test::Dot(seed, seed), 1e-4);
}

TEST(Attention, AfterRopeThroughOneGraph) {
  const Tensor table = test::Value(
      ops::RopeTable(8, kGrouped.head_dim, ops::PlainRope(1e4), TheStream()));
  test::CheckGradients(
      [&](const Tensor& x) -> absl::StatusOr<Tensor> {
        EISBACH_ASSIGN_OR_RETURN(Tensor qkv,
                                 Rope(x, kGrouped, table, TheStream()));
        return Attention(qkv, kGrouped, TheStream());
      },
      test::Normal({2, 7, kGrouped.packed_width()}, DType::kF32, 1));
}

}  // namespace
}  // namespace eisbach::autograd::attention_test
