#include "parallel/context/method.h"

#include <gtest/gtest.h>

#include "support/status_testing.h"

namespace eisbach::parallel::method_test {
namespace {

using test::StatusIs;
using test::Value;

TEST(ContextMethodTest, NamesComeBack) {
  for (const auto method : {ContextMethod::kAuto, ContextMethod::kRing,
                            ContextMethod::kUlysses, ContextMethod::kGather}) {
    EXPECT_EQ(Value(ParseContextMethod(Name(method))), method);
  }
  EXPECT_THAT(ParseContextMethod("zigzag"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "context_method=zigzag is none of auto, ring, ulysses, "
                       "gather (parallel.context_method)"));
}

TEST(ContextMethodTest, AutoIsUlyssesWhereHeadsDivide) {
  const auto chosen = [](int64_t heads, int64_t kv_heads, int tensor,
                         int context) {
    return Value(ChooseContextMethod(ContextMethod::kAuto, heads, kv_heads,
                                     tensor, context));
  };
  EXPECT_EQ(chosen(24, 8, 1, 4), ContextMethod::kUlysses);
  EXPECT_EQ(chosen(24, 8, 2, 4), ContextMethod::kUlysses);
  EXPECT_EQ(chosen(24, 8, 4, 4), ContextMethod::kRing);
  EXPECT_EQ(chosen(24, 8, 1, 3), ContextMethod::kRing);
  EXPECT_EQ(chosen(24, 24, 1, 3), ContextMethod::kUlysses);
}

TEST(ContextMethodTest, UlyssesSaysWhatDivides) {
  const auto said = [](int64_t heads, int64_t kv_heads, int tensor,
                       int context) {
    return std::string(ChooseContextMethod(ContextMethod::kUlysses, heads,
                                           kv_heads, tensor, context)
                           .status()
                           .message());
  };
  EXPECT_EQ(said(24, 8, 1, 8), "");
  EXPECT_EQ(said(24, 8, 1, 3),
            "context=3 does not divide heads=24 and kv_heads=8, as "
            "context_method=ulysses must (parallel.context, "
            "parallel.context_method); context_method=ring takes any; nearest "
            "that works: context=2");
  EXPECT_EQ(said(24, 2, 2, 4),
            "context=4 x tensor=2 does not divide heads=24 and kv_heads=2, as "
            "context_method=ulysses must (parallel.context, "
            "parallel.context_method); context_method=ring takes any");
}

}  // namespace
}  // namespace eisbach::parallel::method_test
