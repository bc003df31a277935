#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace eisbach::comm {

// Whether a launcher's command line asks for a binding of its ranks to cores.
// `command`: its arguments, each ended by a zero byte, as /proc/PID/cmdline has
// them.
bool AsksForBinding(absl::string_view command);

// Open MPI binds the rank of a job of one to a single core unless it is told
// otherwise, which leaves the rest of the machine idle. Gives the calling rank,
// the only one of its job, the cores of the launcher that started it, unless
// somebody asked for the binding. To be called before threads are made.
void WidenLoneRank();

}  // namespace eisbach::comm
