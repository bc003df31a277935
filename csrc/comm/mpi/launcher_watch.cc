#include "comm/mpi/launcher_watch.h"

#include <unistd.h>

#include <utility>

#include "core/signal_mask.h"

namespace eisbach::comm {

LauncherWatch::LauncherWatch(std::function<void()> on_death)
    : on_death_(std::move(on_death)),
      launcher_(getppid()),
      thread_([this] { ThreadMain(); }) {}

LauncherWatch::~LauncherWatch() {
  stopped_ = true;
  bell_.Ring();
  thread_.join();
}

void LauncherWatch::ThreadMain() {
  KeepSignalsOff();  // they are for the main thread
  const Bell::Listener listener(bell_);
  while (!stopped_) {
    const uint32_t seen = bell_.epoch();
    if (stopped_) return;
    if (getppid() != launcher_) return on_death_();
    bell_.Wait(seen, std::chrono::seconds(1));
  }
}

}  // namespace eisbach::comm
