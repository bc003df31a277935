#include "comm/call_shape.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace eisbach::comm::call_shape_test {
namespace {

const CallShape kSum{
    .kind = CallKind::kAllReduce, .dtype = DType::kF32, .elements = 100};

CallShape With(void (*change)(CallShape&)) {
  CallShape shape = kSum;
  change(shape);
  return shape;
}

TEST(CallShape, SpellsWhatMustBeTheSame) {
  EXPECT_EQ(kSum.ToString(), "all_reduce (sum) of 100 f32");
  EXPECT_EQ(With([](CallShape& s) { s.op = ReduceOp::kMin; }).ToString(),
            "all_reduce (min) of 100 f32");
  EXPECT_EQ((CallShape{.kind = CallKind::kBroadcast,
                       .dtype = DType::kI64,
                       .root = 2,
                       .elements = 3})
                .ToString(),
            "broadcast of 3 i64 from rank 2");
  EXPECT_EQ((CallShape{.kind = CallKind::kAllToAll, .dtype = DType::kBF16})
                .ToString(),
            "all_to_all of bf16");
  EXPECT_EQ((CallShape{.kind = CallKind::kBarrier}).ToString(), "barrier");
}

TEST(Disagreement, IsNoneWhereAllCallTheSame) {
  EXPECT_EQ(Disagreement({}), "");
  EXPECT_EQ(Disagreement({kSum, kSum, kSum}), "");
}

TEST(Disagreement, NamesBothSidesWhateverDiffers) {
  const std::vector<CallShape> others = {
      With([](CallShape& s) { s.kind = CallKind::kReduceScatter; }),
      With([](CallShape& s) { s.dtype = DType::kI32; }),
      With([](CallShape& s) { s.op = ReduceOp::kMax; }),
      With([](CallShape& s) { s.root = 1; }),
      With([](CallShape& s) { s.elements = 99; })};
  for (const CallShape& other : others) {
    EXPECT_EQ(Disagreement({kSum, other, kSum}),
              "ranks of a group disagree: rank 1 calls " + other.ToString() +
                  "; ranks 0 and 2 call " + kSum.ToString());
  }
}

TEST(Disagreement, ShortensManyRanks) {
  std::vector<CallShape> shapes(9, kSum);
  shapes[8].elements = 1;
  EXPECT_EQ(Disagreement(shapes),
            "ranks of a group disagree: rank 8 calls all_reduce (sum) of 1 "
            "f32; ranks 0, 1, 2, 3 and 4 others call all_reduce (sum) of 100 "
            "f32");
}

TEST(CountDisagreement, NamesTheFirstTwoThatDiffer) {
  // Of each rank what it sends to and expects from each.
  EXPECT_EQ(CountDisagreement({1, 6, 1, 3, /**/ 3, 4, 5, 4}, 2),
            "all_to_all: rank 0 sends 6 elements to rank 1, which expects 5");
  EXPECT_EQ(CountDisagreement({1, 6, 1, 3, /**/ 3, 4, 6, 4}, 2), "");
}

TEST(TransferDisagreement, IsTheSameOnBothRanks) {
  const TransferShape sent{
      .bytes = 40, .peer = 1, .dtype = DType::kF32, .sends = true};
  TransferShape expected{.bytes = 40, .peer = 0, .dtype = DType::kF32};
  EXPECT_EQ(TransferDisagreement(0, sent, expected), "");
  EXPECT_EQ(TransferDisagreement(1, expected, sent), "");
  expected.bytes = 36;
  for (const std::string& text : {TransferDisagreement(0, sent, expected),
                                  TransferDisagreement(1, expected, sent)}) {
    EXPECT_EQ(text,
              "rank 0 sends 40 bytes of f32 to rank 1, which expects 36 of "
              "f32");
  }
  expected = {.bytes = 40, .peer = 0, .dtype = DType::kI32};
  EXPECT_NE(TransferDisagreement(0, sent, expected), "");
  expected = {.bytes = 40, .peer = 0, .dtype = DType::kF32, .sends = true};
  EXPECT_EQ(TransferDisagreement(1, expected, sent),
            "ranks 0 and 1 both send to each other where one of them should "
            "receive");
}

TEST(DisagreementError, SaysWhereAndWhoLooked) {
  EXPECT_TRUE(DisagreementError("barrier", "").ok());
  EXPECT_EQ(DisagreementError("barrier on \"world\"", "they differ").message(),
            "barrier on \"world\": they differ (fault.check_collectives)");
}

}  // namespace
}  // namespace eisbach::comm::call_shape_test
