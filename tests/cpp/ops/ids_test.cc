#include "ops/ids.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/op_testing.h"

namespace eisbach::ids_test {
namespace {

using ops::CheckIds;
using ops::IdKind;
using test::FromValues;
using test::IsOk;
using test::StatusIs;

constexpr auto kBad = absl::StatusCode::kInvalidArgument;

TEST(CheckIds, TakesWhatTheVocabularyHas) {
  const std::vector<int32_t> ids = {0, 4, 3, 2};
  EXPECT_THAT(CheckIds(IdKind::kToken, ids, Shape{2, 2}, 5), IsOk());
  EXPECT_THAT(CheckIds(IdKind::kTarget, ids, Shape{2, 2}, 5), IsOk());
  EXPECT_THAT(CheckIds(IdKind::kToken, {}, Shape{0, 7}, 5), IsOk());
  // All that i32 can hold, and a target that is masked.
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  EXPECT_THAT(CheckIds(IdKind::kToken, {{kMost}}, Shape{1}, int64_t{kMost} + 1),
              IsOk());
  EXPECT_THAT(CheckIds(IdKind::kTarget,
                       {{std::numeric_limits<int32_t>::min(), -100, -1}},
                       Shape{1, 3}, 5),
              IsOk());
}

TEST(CheckIds, NamesTheFirstThatIsOutside) {
  EXPECT_THAT(CheckIds(IdKind::kToken, {{0, 1, 2, 3, 5, -1}}, Shape{2, 3}, 5),
              StatusIs(kBad,
                       "token 5 at position 1 of sample 1 is outside the "
                       "vocabulary of 5"));
  EXPECT_THAT(CheckIds(IdKind::kToken, {{0, -1}}, Shape{2}, 5),
              StatusIs(kBad, "token -1 at position 1 is outside"));
  EXPECT_THAT(CheckIds(IdKind::kTarget, {{0, 1, -100, 9}}, Shape{2, 1, 2}, 5),
              StatusIs(kBad,
                       "target 9 at position 1 of sample 1 is outside the "
                       "vocabulary of 5; a target below 0 is masked"));
}

TEST(CheckIds, ReadsTensorsOfTheHostAtOnceAndOthersWhenAsked) {
  const Tensor ids = FromValues({1, 3}, DType::kI32, {0, 7, 1});
  const bool host = test::TheDevice().type() == DeviceType::kCpu;
  const auto bad = StatusIs(kBad, "token 7 at position 1 of sample 0");
  if (host) {
    EXPECT_THAT(CheckIds(IdKind::kToken, ids, 7), bad);
  } else {
    EXPECT_THAT(CheckIds(IdKind::kToken, ids, 7), IsOk());
  }
  EXPECT_THAT(ReadAndCheckIds(IdKind::kToken, ids, 7, test::TheStream()), bad);
  EXPECT_THAT(ReadAndCheckIds(IdKind::kToken, ids, 8, test::TheStream()),
              IsOk());
  EXPECT_THAT(
      ReadAndCheckIds(IdKind::kToken, FromValues({2}, DType::kI64, {0, 0}), 7,
                      test::TheStream()),
      StatusIs(kBad, "must be i32 and contiguous"));
  EXPECT_THAT(ReadAndCheckIds(IdKind::kToken,
                              test::Empty({2, 3}, DType::kI32, test::Meta()), 7,
                              test::MetaStream()),
              IsOk());
}

}  // namespace
}  // namespace eisbach::ids_test
