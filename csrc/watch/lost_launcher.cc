#include "watch/lost_launcher.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace eisbach::watch {
namespace {

constexpr int kMostFiles = 1024;
// In which ranks go.
constexpr int64_t kRanksMs = 800;
// In which a daemon takes away its files, on a machine that does much else.
constexpr int64_t kDaemonMs = 5000;
constexpr int64_t kLookMs = 50;

void Sleep(int64_t milliseconds) {
  const timespec time = {.tv_sec = milliseconds / 1000,
                         .tv_nsec = milliseconds % 1000 * 1000000};
  nanosleep(&time, nullptr);
}

// What a copy of one thread of many may call: nothing that locks.
[[noreturn]] void EndLauncher(pid_t launcher, LauncherKind kind) {
  setsid();
  // Readers of the job's output wait for whoever holds it.
  for (int fd = 0; fd < kMostFiles; ++fd) close(fd);
  Sleep(kRanksMs);
  if (kind == LauncherKind::kDaemon) {
    kill(launcher, SIGTERM);
    for (int64_t waited = 0; waited < kDaemonMs; waited += kLookMs) {
      Sleep(kLookMs);
      if (kill(launcher, 0) != 0) _exit(0);
    }
  }
  kill(launcher, SIGKILL);
  _exit(0);
}

}  // namespace

LauncherKind KindOf(pid_t pid, const std::string& proc) {
  std::ifstream file(absl::StrCat(proc, "/", pid, "/comm"));
  std::string name;
  std::getline(file, name);
  if (name == "prted" || name == "orted") return LauncherKind::kDaemon;
  for (const char* known : {"prterun", "orterun", "mpirun", "mpiexec"}) {
    if (name == known) return LauncherKind::kMpirun;
  }
  return LauncherKind::kNone;
}

void EndLauncherSoon(pid_t launcher, LauncherKind kind) {
  if (kind == LauncherKind::kNone) return;
  // fork() would wait for locks that a stuck thread may hold.
  const long pid =
      syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) EndLauncher(launcher, kind);
}

}  // namespace eisbach::watch
