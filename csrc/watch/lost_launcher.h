#pragma once

#include <sys/types.h>

#include <string>

namespace eisbach::watch {

// Whether a process is one of Open MPI or PRRTE that starts ranks, as its name
// in `proc` (/proc) says.
bool StartsRanks(pid_t pid, const std::string& proc = "/proc");

// Ends a launcher that would wait for a host which is lost, after the ranks
// have gone: from a process of its own, within two seconds. SIGTERM is enough
// for the daemon of a host; mpirun takes SIGKILL. Any thread; takes no lock.
void EndLauncherSoon(pid_t launcher);

}  // namespace eisbach::watch
