#include "watch/process_state.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch/lost_launcher.h"

namespace eisbach::watch {
namespace {

TEST(ProcessState, TellsWhetherAProcessCanRun) {
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  EXPECT_FALSE(StateOf(child).gone());
  EXPECT_FALSE(StateOf(child).stopped());
  EXPECT_GT(StateOf(child).start_ticks, 0);
  kill(child, SIGSTOP);
  waitpid(child, nullptr, WUNTRACED);
  EXPECT_TRUE(StateOf(child).stopped());
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);
  EXPECT_TRUE(StateOf(child).gone());  // a zombie
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(StateOf(child).gone());
}

TEST(LostLauncher, KnowsALauncherByItsName) {
  EXPECT_FALSE(StartsRanks(getpid()));
}

}  // namespace
}  // namespace eisbach::watch
