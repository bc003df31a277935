// Highway picks the best instruction set of the machine; this compares what the
// others that it can run give.

#include "hwy/targets.h"
#include "ops/attention.h"
#include "ops/cached_attention.h"
#include "ops/elementwise.h"
#include "ops/rope.h"
#include "ops/softcap.h"
#include "support/op_testing.h"

namespace eisbach::ops::attention_targets_test {
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
  Tensor limited, limited_lse, limited_dqkv;  // documents, a window and a cap
  Tensor capped;
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
      {.window = 70, .scale = 0.25, .cap = 4}, stream));
  std::vector<double> starts(2 * 81, 0.0);
  std::fill(starts.begin() + 10, starts.begin() + 81, 10.0);
  const AttentionOptions options = {
      .starts = test::FromValues({2, 81}, DType::kI32, starts),
      .window = 20,
      .scale = 0.3,
      .cap = 2};
  const AttentionOutput limited =
      Value(AttentionForward(qkv, heads, stream, options));
  r.limited = limited.out;
  r.limited_lse = limited.lse;
  r.limited_dqkv = Value(AttentionBackward(dout, qkv, limited.out, limited.lse,
                                           heads, stream, options));
  r.capped = test::Normal({1013}, dtype, 3, 20);
  EISBACH_EXPECT_OK(Softcap(r.capped, 10, stream));
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
      test::ExpectClose(r.limited, test::ToDoubles(best.limited), tolerance);
      test::ExpectClose(r.limited_lse, test::ToDoubles(best.limited_lse), 4e-6);
      test::ExpectClose(r.limited_dqkv, test::ToDoubles(best.limited_dqkv),
                        tolerance, 4);
      test::ExpectClose(r.capped, test::ToDoubles(best.capped), tolerance, 10);
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
}  // namespace eisbach::ops::attention_targets_test
