#include "watch/stack.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "comm/bell.h"

namespace eisbach::watch::stack_test {
namespace {

// Of the library, which exports its names.
void WaitFor(const std::atomic<bool>& flag) {
  comm::Bell bell;
  const comm::Bell::Listener listener(bell);
  while (!flag) bell.Wait(bell.epoch(), std::chrono::milliseconds(100));
}

std::atomic<int> seen_before{0};

TEST(Stack, NamesWhereAThreadIs) {
  // What takes the signal before is called as well.
  signal(StackSignal(), [](int) { ++seen_before; });
  InstallStackHandler();
  std::atomic<bool> flag{false};
  std::thread worker([&] { WaitFor(flag); });
  std::string text;
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (text.find("Bell::Wait") == std::string::npos &&
         absl::Now() < deadline) {
    text = StackOf(worker.native_handle(), absl::Seconds(60));
    EXPECT_NE(text, "");
  }
  flag = true;
  worker.join();
  EXPECT_NE(text.find("Bell::Wait"), std::string::npos) << text;
  EXPECT_GT(seen_before, 0);
}

TEST(Stack, AThreadThatKeepsSignalsOffHasNone) {
  InstallStackHandler();
  std::atomic<bool> inside{false}, flag{false};
  std::thread worker([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    inside = true;
    WaitFor(flag);
  });
  while (!inside) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(StackOf(worker.native_handle(), absl::Milliseconds(20)), "");
  flag = true;
  worker.join();
}

}  // namespace
}  // namespace eisbach::watch::stack_test
