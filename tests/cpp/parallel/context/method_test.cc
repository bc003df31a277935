#include "parallel/context/method.h"

#include <gtest/gtest.h>

#include "support/status_testing.h"

namespace eisbach::parallel::method_test {
namespace {

using test::StatusIs;
using test::Value;

std::string Said(const ContextRequest& asked, const ContextSizes& sizes) {
  return std::string(ChooseContextMethod(asked, sizes).status().message());
}

TEST(ContextMethodTest, NamesComeBack) {
  for (const auto method :
       {ContextMethod::kAuto, ContextMethod::kRing, ContextMethod::kUlysses,
        ContextMethod::kUlyssesRing, ContextMethod::kGather}) {
    EXPECT_EQ(Value(ParseContextMethod(Name(method))), method);
  }
  EXPECT_THAT(ParseContextMethod("zigzag"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "context_method=zigzag is none of auto, ring, ulysses, "
                       "ulysses_ring, gather (parallel.context_method)"));
}

TEST(ContextMethodTest, AutoExchangesHeadsAmongAsManyAsTheyDivideBy) {
  const auto chosen = [](const ContextSizes& sizes, int neighbours = 0) {
    return Value(ChooseContextMethod({.neighbours = neighbours}, sizes));
  };
  const auto all = [](int ranks) {
    return ContextExchange{ContextMethod::kUlysses, ranks};
  };
  const auto some = [](int ranks) {
    return ContextExchange{ContextMethod::kUlyssesRing, ranks};
  };
  const ContextExchange none{ContextMethod::kRing, 1};
  EXPECT_EQ(chosen({24, 8, 1, 4}), all(4));
  EXPECT_EQ(chosen({24, 8, 2, 4}), all(4));
  EXPECT_EQ(chosen({24, 24, 1, 3}), all(3));
  EXPECT_EQ(chosen({24, 8, 4, 4}), some(2));
  EXPECT_EQ(chosen({32, 8, 1, 64}), some(8));
  EXPECT_EQ(chosen({24, 24, 1, 16}), some(8));
  EXPECT_EQ(chosen({24, 8, 1, 3}), none);
  EXPECT_EQ(chosen({24, 3, 1, 4}), none);
  EXPECT_EQ(chosen({24, 8, 16, 2}), none);  // tensor ranks share heads
  // All of them whatever the domains, some inside one.
  EXPECT_EQ(chosen({32, 8, 1, 8}, 4), all(8));
  EXPECT_EQ(chosen({32, 8, 1, 64}, 4), some(4));
  EXPECT_EQ(chosen({32, 8, 1, 64}, 6), some(2));
  EXPECT_EQ(chosen({32, 8, 1, 64}, 1), none);
}

TEST(ContextMethodTest, ASizeDecides) {
  const auto chosen = [](int group, ContextMethod method) {
    return Value(ChooseContextMethod(
        {.method = method, .ulysses_group = group, .neighbours = 1},
        {24, 8, 1, 8}));
  };
  for (const auto method :
       {ContextMethod::kAuto, ContextMethod::kUlyssesRing}) {
    EXPECT_EQ(chosen(1, method), (ContextExchange{ContextMethod::kRing, 1}));
    EXPECT_EQ(chosen(4, method),
              (ContextExchange{ContextMethod::kUlyssesRing, 4}));
    EXPECT_EQ(chosen(8, method), (ContextExchange{ContextMethod::kUlysses, 8}));
  }
  EXPECT_EQ(chosen(8, ContextMethod::kUlysses),
            (ContextExchange{ContextMethod::kUlysses, 8}));
  EXPECT_EQ(chosen(1, ContextMethod::kGather),
            (ContextExchange{ContextMethod::kGather, 1}));
}

TEST(ContextMethodTest, UlyssesSaysWhatDivides) {
  const auto said = [](const ContextSizes& sizes) {
    return Said({.method = ContextMethod::kUlysses}, sizes);
  };
  EXPECT_EQ(said({24, 8, 1, 8}), "");
  EXPECT_EQ(said({24, 8, 1, 3}),
            "context=3 does not divide heads=24 and kv_heads=8, as "
            "context_method=ulysses must (parallel.context, "
            "parallel.context_method); context_method=ring takes any; nearest "
            "that works: context=2");
  EXPECT_EQ(said({24, 2, 2, 4}),
            "context=4 x tensor=2 does not divide heads=24 and kv_heads=2, as "
            "context_method=ulysses must (parallel.context, "
            "parallel.context_method); context_method=ring takes any");
}

TEST(ContextMethodTest, SaysWhichGroupWorks) {
  const ContextSizes sizes{24, 8, 2, 12};
  const auto said = [&](int group, ContextMethod method) {
    return Said({.method = method, .ulysses_group = group}, sizes);
  };
  EXPECT_EQ(said(5, ContextMethod::kUlyssesRing),
            "ulysses_group=5 does not divide context=12 "
            "(parallel.ulysses_group); nearest that works: 4");
  EXPECT_EQ(said(3, ContextMethod::kAuto),
            "ulysses_group=3 x tensor=2 does not divide heads=24 and "
            "kv_heads=8 (parallel.ulysses_group); nearest that works: 2");
  EXPECT_EQ(said(2, ContextMethod::kRing),
            "ulysses_group=2 of context_method=ring, which exchanges no heads "
            "(parallel.ulysses_group); nearest that works: 1");
  EXPECT_EQ(Said({.method = ContextMethod::kUlysses, .ulysses_group = 2},
                 {24, 8, 1, 4}),
            "ulysses_group=2 of context=4 ranks, and context_method=ulysses "
            "exchanges heads among all of them (parallel.ulysses_group); "
            "context_method=ulysses_ring has such groups; nearest that works: "
            "4");
}

TEST(ContextMethodTest, SaysWhyNoGroupExchangesHeads) {
  const auto said = [](const ContextSizes& sizes, int neighbours) {
    return Said(
        {.method = ContextMethod::kUlyssesRing, .neighbours = neighbours},
        sizes);
  };
  EXPECT_EQ(said({24, 3, 1, 4}, 0),
            "context_method=ulysses_ring exchanges heads among neighbours, and "
            "no group of them divides heads=24 and kv_heads=3 "
            "(parallel.context_method); nearest that works: ring");
  EXPECT_EQ(said({24, 8, 1, 16}, 1),
            "context_method=ulysses_ring exchanges heads among neighbours, and "
            "no two of a group of context=16 share a domain; ulysses_group=8 "
            "exchanges them nevertheless (parallel.context_method); nearest "
            "that works: ring");
  EXPECT_EQ(said({24, 3, 1, 1}, 0), "");
}

TEST(ContextMethodTest, IsToldInWords) {
  EXPECT_EQ(ContextText({ContextMethod::kUlysses, 1}, 1), "");
  EXPECT_EQ(ContextText({ContextMethod::kRing, 1}, 4),
            "context=4 ranks divide rows: ring");
  EXPECT_EQ(ContextText({ContextMethod::kUlyssesRing, 4}, 8),
            "context=8 ranks divide rows: ulysses in groups of 4, a ring of 2 "
            "between them");
}

}  // namespace
}  // namespace eisbach::parallel::method_test
