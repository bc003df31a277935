#include "checkpoint/box.h"

#include <numeric>

#include "support/status_testing.h"

namespace eisbach::checkpoint::box_test {
namespace {

using test::StatusIs;

TEST(Intersect, IsWhatBothHold) {
  const Box a{{0, 2}, {4, 4}}, b{{3, 0}, {5, 3}};
  const std::optional<Box> both = Intersect(a, b);
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ(both->ToString(), "[3, 4) x [2, 3)");
  EXPECT_FALSE(Intersect(a, Box{{4, 0}, {1, 9}}).has_value());
  EXPECT_FALSE(Intersect(Box{{0}, {3}}, Box{{3}, {2}}).has_value());
}

TEST(CutRows, IsTheWholeInOrder) {
  const auto cut = [](const Box& box, int64_t most) {
    std::string text;
    for (const Box& rows : CutRows(box, most)) text += rows.ToString() + " ";
    return text;
  };
  EXPECT_EQ(cut(Box{{3, 7}, {5, 4}}, 8),
            "[3, 5) x [7, 11) [5, 7) x [7, 11) [7, 8) x [7, 11) ");
  EXPECT_EQ(cut(Box{{3, 7}, {2, 4}}, 3), "[3, 4) x [7, 11) [4, 5) x [7, 11) ");
  EXPECT_EQ(cut(Box{{3, 7}, {5, 4}}, 100), "[3, 8) x [7, 11) ");
  EXPECT_EQ(cut(Box{{2}, {7}}, 3), "[2, 5) [5, 8) [8, 9) ");
  EXPECT_EQ(cut(Box{{3, 7}, {0, 4}}, 8), "");
  EXPECT_EQ(cut(Box{{3, 7}, {2, 0}}, 8), "[3, 5) x [7, 7) ");
}

TEST(CopyBox, MovesAPartBetweenMemoriesOfOtherWidth) {
  const Box from{{10, 20}, {4, 5}}, to{{11, 18}, {6, 7}};
  std::vector<float> source(from.elements());
  std::iota(source.begin(), source.end(), 0.0f);
  std::vector<float> target(to.elements(), -1);
  const std::optional<Box> part = Intersect(from, to);
  ASSERT_TRUE(part.has_value());
  CopyBox(*part, from, source.data(), to, target.data());
  for (int64_t r = 0; r < 6; ++r) {
    for (int64_t c = 0; c < 7; ++c) {
      const int64_t row = 11 + r, column = 18 + c;
      const bool inside = row < 14 && column >= 20 && column < 25;
      const float want =
          inside ? static_cast<float>((row - 10) * 5 + column - 20) : -1.0f;
      EXPECT_EQ(target[r * 7 + c], want) << row << ", " << column;
    }
  }
}

TEST(CopyBox, MovesAPartOfAVector) {
  const std::vector<float> source = {0, 1, 2, 3};
  std::vector<float> target(3, -1);
  const Box from{{5}, {4}}, to{{7}, {3}};
  CopyBox(*Intersect(from, to), from, source.data(), to, target.data());
  EXPECT_EQ(target, (std::vector<float>{2, 3, -1}));
}

TEST(Coverage, IsCompleteWhenEachElementIsThereOnce) {
  Coverage coverage(WholeBox({3, 4}));
  EISBACH_EXPECT_OK(coverage.Add({{0, 0}, {3, 2}}));
  EISBACH_EXPECT_OK(coverage.Add({{0, 2}, {1, 2}}));
  EXPECT_FALSE(coverage.complete());
  EXPECT_EQ(coverage.missing(), 4);
  EXPECT_THAT(coverage.Add({{0, 3}, {2, 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "[0, 1) x [3, 4) is there twice"));
  EISBACH_EXPECT_OK(coverage.Add({{1, 2}, {2, 2}}));
  EXPECT_TRUE(coverage.complete());
  EXPECT_THAT(coverage.Add({{2, 0}, {2, 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "not within"));
}

}  // namespace
}  // namespace eisbach::checkpoint::box_test
