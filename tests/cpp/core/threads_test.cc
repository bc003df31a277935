#include "core/threads.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <thread>
#include <vector>

namespace eisbach::threads_test {
namespace {

CoreSet Cores(std::initializer_list<int> numbers) {
  CoreSet cores;
  for (int number : numbers) cores.set(number);
  return cores;
}

// `quotas`: of each rank, if any.
std::vector<int> Shares(const std::vector<CoreSet>& cores,
                        const std::vector<std::vector<CpuQuota>>& quotas = {}) {
  std::vector<CoreLimits> ranks;
  for (size_t i = 0; i < cores.size(); ++i) {
    ranks.push_back({.cores = cores[i], .quotas = {}});
    if (quotas.empty()) continue;
    std::copy(quotas[i].begin(), quotas[i].end(), ranks[i].quotas.begin());
  }
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

TEST(ShareOfCores, AQuotaIsDividedAmongItsGroup) {
  const CoreSet all = Cores({0, 1, 2, 3, 4, 5, 6, 7});
  const CpuQuota five{.group = 7, .cores = 5}, two{.group = 9, .cores = 2.5};
  EXPECT_EQ(Shares({all}, {{five}}), std::vector<int>({5}));
  EXPECT_EQ(Shares({all}, {{five, two}}), std::vector<int>({2}));
  EXPECT_EQ(Shares({all, all}, {{five}, {five}}), std::vector<int>({2, 2}));
  // A container each on one host, and a rank beside them.
  EXPECT_EQ(Shares({all, all, all}, {{five}, {two}, {}}),
            std::vector<int>({2, 2, 2}));
  EXPECT_EQ(Shares({all, all}, {{two}, {}}), std::vector<int>({2, 4}));
  EXPECT_EQ(Shares({all, all, all}, {{two}, {two}, {two}}),
            std::vector<int>({1, 1, 1}));
}

TEST(FindCoreLimits, AreThoseOfThisProcess) {
  EXPECT_EQ(FindCoreLimits().cores, UsableCores());
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

int CountMembers() {
  std::atomic<int> members = 0;
#pragma omp parallel
  ++members;
  return members;
}

// Also run with limits in the environment, see tests.cmake.
TEST(ComputeThreads, HaveABoundByTheUsableCores) {
  const int cores = static_cast<int>(UsableCores().count());
  EXPECT_EQ(MostComputeThreads(), 16 * cores);
}

TEST(ComputeThreads, AreThoseOfATeamThatWasSeen) {
  std::thread([] {
    const int many = static_cast<int>(UsableCores().count()) + 2;
    int most = std::min(many, omp_get_thread_limit());
    if (omp_get_max_active_levels() < 1) most = 1;
    EXPECT_EQ(SetComputeThreads(many), most);
    EXPECT_EQ(ComputeThreads(), most);
    EXPECT_EQ(omp_get_max_threads(), most);
    EXPECT_EQ(CountMembers(), most);
    EXPECT_EQ(SetComputeThreads(1), 1);
    EXPECT_EQ(CountMembers(), 1);
  }).join();
}

TEST(ComputeThreads, AreCountedWhereNobodyHasSetThem) {
  std::thread([] {
    const int threads = ComputeThreads();
    EXPECT_EQ(omp_get_max_threads(), threads);
    EXPECT_EQ(CountMembers(), threads);
  }).join();
}

// Another library in the process, or the program that uses this one.
TEST(ComputeThreads, AreCountedAgainWhenSomebodyChangesTheSettings) {
  std::thread([] {
    const int many = static_cast<int>(UsableCores().count()) + 2;
    SetComputeThreads(1);
    omp_set_num_threads(many);
    omp_set_dynamic(1);
    const int threads = ComputeThreads();
    EXPECT_EQ(CountMembers(), threads);
    EXPECT_EQ(omp_get_max_threads(), threads);
    const int levels = omp_get_max_active_levels();
    omp_set_max_active_levels(0);
    EXPECT_EQ(ComputeThreads(), 1);
    EXPECT_EQ(omp_get_max_threads(), 1);
    omp_set_max_active_levels(levels);
  }).join();
}

TEST(ComputeThreads, AreOneInsideAParallelRegion) {
  std::atomic<int> most = 0;
#pragma omp parallel num_threads(2)
  {
    const int threads = omp_in_parallel() ? ComputeThreads() : 1;
    if (threads > most) most = threads;
  }
  EXPECT_EQ(most, 1);
}

}  // namespace
}  // namespace eisbach::threads_test
