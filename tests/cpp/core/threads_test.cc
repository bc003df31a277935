#include "core/threads.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <thread>
#include <vector>

namespace eisbach {
namespace {

CoreSet Cores(std::initializer_list<int> numbers) {
  CoreSet cores;
  for (int number : numbers) cores.set(number);
  return cores;
}

std::vector<int> Shares(const std::vector<CoreSet>& ranks) {
  std::vector<int> shares;
  for (size_t i = 0; i < ranks.size(); ++i) {
    shares.push_back(ShareOfCores(ranks, i));
  }
  return shares;
}

TEST(ShareOfCores, UnboundRanksDivideTheHost) {
  const CoreSet all = Cores({0, 1, 2, 3, 4, 5});
  EXPECT_EQ(Shares({all}), std::vector<int>({6}));
  EXPECT_EQ(Shares({all, all, all}), std::vector<int>({2, 2, 2}));
  EXPECT_EQ(Shares({all, all, all, all}), std::vector<int>({1, 1, 1, 1}));
}

TEST(ShareOfCores, RanksOfASocketDivideItsCores) {
  const CoreSet left = Cores({0, 1, 2, 3}), right = Cores({4, 5, 6, 7});
  EXPECT_EQ(Shares({left, left, right}), std::vector<int>({2, 2, 4}));
}

TEST(ShareOfCores, ABoundRankKeepsItsOwn) {
  EXPECT_EQ(Shares({Cores({0, 1, 2}), Cores({3, 4}), Cores({5})}),
            std::vector<int>({3, 2, 1}));
}

TEST(ShareOfCores, IsNeverNone) {
  EXPECT_EQ(Shares({Cores({0}), Cores({0}), Cores({})}),
            std::vector<int>({1, 1, 1}));
}

TEST(UseCores, BindsTheThreadThatCalls) {
  const CoreSet before = UsableCores();
  ASSERT_GT(before.count(), 0);
  CoreSet last;
  for (size_t i = 0; i < kMostCores; ++i) {
    if (before[i]) last = CoreSet().set(i);
  }
  std::thread([&] {
    EXPECT_TRUE(UseCores(last));
    EXPECT_EQ(UsableCores(), last);
    EXPECT_FALSE(UseCores(CoreSet()));
  }).join();
  EXPECT_EQ(UsableCores(), before);
}

}  // namespace
}  // namespace eisbach
