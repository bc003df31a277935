#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <thread>

#include "comm/bell.h"

namespace eisbach::comm {

// Notices when the process that started this one has died, which MPI tells
// only those who call it: a rank in the middle of a computation would go on
// alone. Looks once a second.
class LauncherWatch {
 public:
  // `on_death` is called at most once, on the thread of the watch.
  explicit LauncherWatch(std::function<void()> on_death);
  ~LauncherWatch();

 private:
  void ThreadMain();

  const std::function<void()> on_death_;
  const pid_t launcher_;
  Bell bell_;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace eisbach::comm
