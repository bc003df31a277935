#include "core/one_thread.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "support/status_testing.h"

namespace eisbach::one_thread_test {
namespace {

using test::StatusIs;

TEST(OneThread, NestsInAThreadAndRefusesAnother) {
  OneThread one("Engine");
  const auto other = [&] {
    absl::Status status;
    std::thread([&] { status = one.Enter().status(); }).join();
    return status;
  };
  {
    auto outer = one.Enter();
    EISBACH_ASSERT_OK(outer.status());
    {
      auto inner = one.Enter();
      EISBACH_EXPECT_OK(inner.status());
    }
    EXPECT_THAT(other(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                  "Engine: another thread"));
  }
  EISBACH_EXPECT_OK(other());
  EISBACH_EXPECT_OK(one.Enter().status());
}

TEST(OneThread, RefusesAFork) {
  OneThread one("Engine");
  EXPECT_EXIT(
      {
        const pid_t child = fork();
        if (child == 0) {
          fprintf(stderr, "%s", one.Enter().status().ToString().c_str());
          _exit(one.Enter().ok() ? 0 : 7);
        }
        int status = 0;
        waitpid(child, &status, 0);
        // The process of the death test is a fork itself, so it makes its own.
        OneThread own("own");
        _exit(own.Enter().ok() ? WEXITSTATUS(status) : 1);
      },
      testing::ExitedWithCode(7), "Engine: process .* is a fork of");
}

}  // namespace
}  // namespace eisbach::one_thread_test
