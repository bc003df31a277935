// Highway picks the best instruction set of the machine; this compares what the
// others that it can run give.

#include "hwy/targets.h"
#include "ops/attention.h"
#include "ops/cached_attention.h"
#include "ops/elementwise.h"
#include "ops/rope.h"
#include "support/op_testing.h"

namespace eisbach::ops {
namespace {

using test::Value;

// Restores the choice at the end of a test.
class AttentionTargetsTest : public testing::Test {
 protected:
  ~AttentionTargetsTest() override { hwy::SetSupportedTargetsForTest(0); }

  // Makes `target` the only one; the next call of an op chooses anew.
  static void Use(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
  }
};

struct Results {
  Tensor out, lse, dqkv, cached, rotated, narrow;
};

Results Compute(DType dtype) {
  Stream& stream = test::TheStream();
  const AttentionHeads heads{4, 2, 20, 2};
  const Tensor qkv = test::Normal({2, 81, heads.packed_width()}, dtype, 1);
  const Tensor dout = test::Normal({2, 81, 80}, dtype, 2);
  const Tensor table = Value(RopeTable(81, 20, PlainRope(10000.0), stream));
  Results r;
  const AttentionOutput y = Value(AttentionForward(qkv, heads, stream));
  r.out = y.out;
  r.lse = y.lse;
  r.dqkv = Value(AttentionBackward(dout, qkv, y.out, y.lse, heads, stream));
  std::vector<double> slots(81, 0.0), positions(81);
  for (size_t i = 0; i < positions.size(); ++i) {
    positions[i] = static_cast<double>(i);
  }
  const Tensor one =
      test::FromValues({1, 81, heads.packed_width()}, dtype,
                       test::ToDoubles(Value(qkv.Narrow(0, 1, 1))));
  r.cached = Value(CachedAttention(
      one, heads,
      {test::Empty({1, 2, 90, 20}, dtype), test::Empty({1, 2, 90, 20}, dtype)},
      {test::FromValues({81}, DType::kI32, slots),
       test::FromValues({81}, DType::kI32, positions)},
      {.scale = 0.25, .window = 70, .cap = 4}, stream));
  EISBACH_EXPECT_OK(Rope(qkv, heads, table, false, stream));
  r.rotated = qkv;
  r.narrow =
      Value(Cast(test::Normal({1013}, DType::kF32, 3, 1e-4), dtype, stream));
  return r;
}

TEST_F(AttentionTargetsTest, EveryInstructionSetAgreesWithTheBest) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
    const Results best = Compute(dtype);
    int tried = 0;
    for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
      SCOPED_TRACE(testing::Message()
                   << hwy::TargetName(target) << " " << Name(dtype));
      Use(target);
      const Results r = Compute(dtype);
      const double tolerance = dtype == DType::kF32   ? 4e-6
                               : dtype == DType::kF16 ? 2e-3
                                                      : 1.6e-2;
      test::ExpectClose(r.out, test::ToDoubles(best.out), tolerance);
      test::ExpectClose(r.lse, test::ToDoubles(best.lse), 4e-6);
      test::ExpectClose(r.dqkv, test::ToDoubles(best.dqkv), tolerance, 4);
      test::ExpectClose(r.cached, test::ToDoubles(best.cached), tolerance);
      // One product and one sum, rounded alike everywhere.
      EXPECT_EQ(test::ToBytes(r.rotated), test::ToBytes(best.rotated));
      EXPECT_EQ(test::ToBytes(r.narrow), test::ToBytes(best.narrow));
      ++tried;
      hwy::SetSupportedTargetsForTest(0);
    }
    EXPECT_GE(tried, 1);
  }
}

}  // namespace
}  // namespace eisbach::ops
