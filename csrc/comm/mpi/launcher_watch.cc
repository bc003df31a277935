#include "comm/mpi/launcher_watch.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

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
  sigset_t all;  // signals are for the main thread
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const Bell::Listener listener(bell_);
  while (!stopped_) {
    const uint32_t seen = bell_.epoch();
    if (stopped_) return;
    if (getppid() != launcher_) return on_death_();
    bell_.Wait(seen, std::chrono::seconds(1));
  }
}

}  // namespace eisbach::comm
