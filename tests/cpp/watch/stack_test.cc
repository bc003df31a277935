#include "watch/stack.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <string>
#include <thread>

#include "absl/time/clock.h"

namespace eisbach::watch {

// Not inlined, and exported, so that a stack has its name.
__attribute__((noinline, visibility("default"))) void WaitForTheFlagOfTheTest(
    std::atomic<bool>& inside, const std::atomic<bool>& flag) {
  inside = true;
  while (!flag) absl::SleepFor(absl::Milliseconds(1));
  asm volatile("");  // no tail call
}

namespace {

std::atomic<int> seen_before{0};

TEST(Stack, NamesWhereAThreadIs) {
  // What takes the signal before is called as well.
  signal(StackSignal(), [](int) { ++seen_before; });
  InstallStackHandler();
  std::atomic<bool> inside{false}, flag{false};
  std::thread worker([&] { WaitForTheFlagOfTheTest(inside, flag); });
  while (!inside) absl::SleepFor(absl::Milliseconds(1));
  const std::string text = StackOf(worker.native_handle(), absl::Seconds(60));
  flag = true;
  worker.join();
  EXPECT_NE(text.find("WaitForTheFlagOfTheTest"), std::string::npos) << text;
  EXPECT_EQ(seen_before, 1);
}

TEST(Stack, AThreadThatKeepsSignalsOffHasNone) {
  InstallStackHandler();
  std::atomic<bool> inside{false}, flag{false};
  std::thread worker([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    WaitForTheFlagOfTheTest(inside, flag);
  });
  while (!inside) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(StackOf(worker.native_handle(), absl::Milliseconds(20)), "");
  flag = true;
  worker.join();
}

}  // namespace
}  // namespace eisbach::watch
