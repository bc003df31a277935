#include "core/status_macros.h"

#include <memory>

#include "support/status_testing.h"

namespace eisbach::status_macros_test {
namespace {

absl::StatusOr<std::unique_ptr<int>> Box(int value) {
  if (value < 0) return absl::OutOfRangeError("below 0");
  return std::make_unique<int>(value);
}

absl::StatusOr<int> Unbox(int value) {
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<int> box, Box(value));
  return *box;
}

absl::Status Both(int a, int b, int* reached) {
  EISBACH_RETURN_IF_ERROR(Unbox(a).status());
  ++*reached;
  EISBACH_RETURN_IF_ERROR(Unbox(b).status());
  ++*reached;
  return absl::OkStatus();
}

TEST(AssignOrReturn, MovesTheValueOrReturns) {
  EXPECT_EQ(test::Value(Unbox(7)), 7);
  EXPECT_THAT(Unbox(-1),
              test::StatusIs(absl::StatusCode::kOutOfRange, "below 0"));
}

TEST(ReturnIfError, StopsAtTheFirst) {
  int reached = 0;
  EISBACH_EXPECT_OK(Both(1, 2, &reached));
  EXPECT_EQ(reached, 2);
  reached = 0;
  EXPECT_FALSE(Both(1, -2, &reached).ok());
  EXPECT_EQ(reached, 1);
}

TEST(Annotate, PrependsAndKeepsTheCode) {
  EXPECT_THAT(Annotate(absl::NotFoundError("x"), "opening"),
              test::StatusIs(absl::StatusCode::kNotFound, "opening: x"));
  EISBACH_EXPECT_OK(Annotate(absl::OkStatus(), "opening"));
}

}  // namespace
}  // namespace eisbach::status_macros_test
