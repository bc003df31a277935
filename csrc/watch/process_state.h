#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace eisbach::watch {

// What the system says of a process.
struct ProcessState {
  char letter = 0;           // of /proc/PID/stat: R, S, D, T, t, Z; 0: none
  uint64_t start_ticks = 0;  // tells processes of one number apart

  bool gone() const { return letter == 0 || letter == 'Z' || letter == 'X'; }
  bool stopped() const { return letter == 'T' || letter == 't'; }
};

// `proc` is /proc.
ProcessState StateOf(pid_t pid, const std::string& proc = "/proc");

}  // namespace eisbach::watch
