#include "core/errno_status.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "core/status_macros.h"
#include "support/status_testing.h"

namespace eisbach::errno_status_test {
namespace {

TEST(ErrnoStatusTest, KeepsTheNumberThroughAnnotate) {
  const absl::Status full = ErrnoError(ENOSPC, "write a");
  EXPECT_THAT(full, test::StatusIs(absl::StatusCode::kResourceExhausted,
                                   "write a: No space left on device"));
  EXPECT_EQ(ErrnoOf(full), ENOSPC);
  const absl::Status told = Annotate(full, "save step 3");
  EXPECT_EQ(told.message(), "save step 3: write a: No space left on device");
  EXPECT_EQ(ErrnoOf(told), ENOSPC);
}

TEST(ErrnoStatusTest, OtherStatusesHaveNone) {
  EXPECT_EQ(ErrnoOf(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(ErrnoOf(absl::InvalidArgumentError("x")), std::nullopt);
}

}  // namespace
}  // namespace eisbach::errno_status_test
