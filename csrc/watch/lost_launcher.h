#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace eisbach::watch {

// What starts the ranks of a host.
enum class LauncherKind : uint8_t {
  kNone,    // of none that is known
  kMpirun,  // of the host where the job was started
  kDaemon,  // of another
};

// Which launcher of Open MPI or PRRTE a process is, as its name in `proc`
// (/proc) says.
LauncherKind KindOf(pid_t pid, const std::string& proc = "/proc");

// Ends a launcher that would wait for a host which is lost, after the ranks
// have gone: from a process of its own, within a second. A daemon is asked
// first, and has five more to take away its files; an mpirun that is asked
// passes SIGTERM on to whoever has started it, and waits. Any thread; takes no
// lock.
void EndLauncherSoon(pid_t launcher, LauncherKind kind);

}  // namespace eisbach::watch
