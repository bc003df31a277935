#include "core/signal_mask.h"

#include <gtest/gtest.h>
#include <omp.h>
#include <pthread.h>

#include <thread>

#include "core/threads.h"

namespace eisbach::signal_mask_test {
namespace {

thread_local int handled = 0;
void Count(int) { ++handled; }

class SignalMask : public testing::Test {
 protected:
  void SetUp() override { old_ = signal(SIGUSR1, &Count); }
  void TearDown() override { signal(SIGUSR1, old_); }

 private:
  sighandler_t old_;
};

TEST_F(SignalMask, KeepsThemUntilItsEnd) {
  handled = 0;
  {
    const SignalsKeptOff kept_off;
    {
      const SignalsKeptOff inner;
      raise(SIGUSR1);
    }
    EXPECT_EQ(handled, 0);
  }
  EXPECT_EQ(handled, 1);
  raise(SIGUSR1);
  EXPECT_EQ(handled, 2);
}

TEST_F(SignalMask, LeavesFaultsAlone) {
  const SignalsKeptOff kept_off;
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGSEGV), 0);
  EXPECT_EQ(sigismember(&mask, SIGBUS), 0);
  EXPECT_EQ(sigismember(&mask, SIGPROF), 1);
}

TEST_F(SignalMask, ForGoodIsOfOneThread) {
  std::thread([] {
    KeepSignalsOff();
    pthread_kill(pthread_self(), SIGUSR1);
    EXPECT_EQ(handled, 0);
  }).join();
  handled = 0;
  raise(SIGUSR1);
  EXPECT_EQ(handled, 1);
}

TEST_F(SignalMask, ATeamTakesNone) {
  const int before = ComputeThreads();
  SetComputeThreads(4);
#pragma omp parallel num_threads(ComputeThreads())
  {
    handled = 0;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    EXPECT_EQ(sigismember(&mask, SIGUSR1), omp_get_thread_num() > 0);
  }
  SetComputeThreads(before);
}

}  // namespace
}  // namespace eisbach::signal_mask_test
