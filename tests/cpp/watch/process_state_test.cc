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

// A child that does so much when SIGTERM comes, once it can.
template <typename Do>
pid_t Child(Do on_term) {
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGTERM, on_term);
    if (write(ready[1], "", 1) != 1) _exit(1);
    while (true) pause();
  }
  char byte;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(ready[1]);
  return child;
}

TEST(LostLauncher, ADaemonMayTakeItsTimeToTidyUp) {
  const pid_t child = Child(+[](int) {
    sleep(2);
    _exit(7);
  });
  EndLauncherSoon(child, LauncherKind::kDaemon);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(LostLauncher, OneThatDoesNotListenIsKilled) {
  for (LauncherKind kind : {LauncherKind::kMpirun, LauncherKind::kDaemon}) {
    const pid_t child = Child(SIG_IGN);
    EndLauncherSoon(child, kind);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
  }
}

}  // namespace
}  // namespace eisbach::watch::process_state_test
