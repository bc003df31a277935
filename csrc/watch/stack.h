#pragma once

#include <pthread.h>

#include <string>

#include "absl/time/time.h"

namespace eisbach::watch {

// The signal that asks a thread for its stack. By itself it does nothing to a
// process.
int StackSignal();

// Lets threads of this process tell their stacks. A handler of the signal that
// is there already is called as well, afterwards: Python's faulthandler, which
// writes its own frames. Once a process; a second time does nothing.
void InstallStackHandler();

// What `thread` does, a frame a line, the innermost first. Empty when it does
// not come to tell within `patience`: it is stopped, or keeps signals off. One
// call at a time.
std::string StackOf(pthread_t thread, absl::Duration patience);

}  // namespace eisbach::watch
