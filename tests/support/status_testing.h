#pragma once

#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

// Status in tests: the failure shows code and message.
//
//   EISBACH_EXPECT_OK(Step());
//   EISBACH_ASSERT_OK_AND_ASSIGN(Tensor y, ops::GeluForward(x, stream));
//   EXPECT_THAT(Open("x"), test::StatusIs(absl::StatusCode::kNotFound, "x"));
namespace eisbach::test {

inline absl::Status GetStatus(const absl::Status& status) { return status; }
template <typename T>
absl::Status GetStatus(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, "is OK") {
  const absl::Status status = GetStatus(arg);
  *result_listener << status.ToString();
  return status.ok();
}

// The code, and a part of the message.
MATCHER_P2(StatusIs, code, part, "") {
  const absl::Status status = GetStatus(arg);
  *result_listener << status.ToString();
  return status.code() == code &&
         status.message().find(part) != absl::string_view::npos;
}

// The value of a result that must be there, where ASSERT cannot be used.
template <typename T>
T Value(absl::StatusOr<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status().ToString();
    std::abort();
  }
  return *std::move(result);
}

}  // namespace eisbach::test

#define EISBACH_EXPECT_OK(expr) EXPECT_THAT(expr, ::eisbach::test::IsOk())
#define EISBACH_ASSERT_OK(expr) ASSERT_THAT(expr, ::eisbach::test::IsOk())

#define EISBACH_ASSERT_OK_AND_ASSIGN(lhs, expr)                              \
  EISBACH_ASSERT_OK_AND_ASSIGN_IMPL_(EISBACH_CONCAT_(eisbach_or_, __LINE__), \
                                     lhs, expr)
#define EISBACH_ASSERT_OK_AND_ASSIGN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                       \
  ASSERT_TRUE(tmp.ok()) << tmp.status().ToString();        \
  lhs = *std::move(tmp)
