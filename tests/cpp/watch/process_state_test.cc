#include "watch/process_state.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/temp_folder.h"
#include "watch/lost_launcher.h"

namespace eisbach::watch::process_state_test {
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
  EXPECT_EQ(KindOf(getpid()), LauncherKind::kNone);
  const test::TempFolder proc;
  const auto named = [&](const char* name) {
    std::filesystem::create_directories(proc.path() + "/7");
    std::ofstream(proc.path() + "/7/comm") << name << "\n";
    return KindOf(7, proc.path());
  };
  EXPECT_EQ(named("prterun"), LauncherKind::kMpirun);
  EXPECT_EQ(named("mpirun"), LauncherKind::kMpirun);
  EXPECT_EQ(named("prted"), LauncherKind::kDaemon);
  EXPECT_EQ(named("slurmstepd"), LauncherKind::kNone);
  EXPECT_EQ(named("bash"), LauncherKind::kNone);
}

}  // namespace
}  // namespace eisbach::watch::process_state_test
