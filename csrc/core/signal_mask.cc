#include "core/signal_mask.h"

#include <pthread.h>

#include <initializer_list>

namespace eisbach {
namespace {

const sigset_t& Kept() {
  static const sigset_t kept = [] {
    sigset_t all;
    sigfillset(&all);
    for (int raised :
         {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP}) {
      sigdelset(&all, raised);
    }
    return all;
  }();
  return kept;
}

}  // namespace

SignalsKeptOff::SignalsKeptOff() {
  pthread_sigmask(SIG_BLOCK, &Kept(), &before_);
}

SignalsKeptOff::~SignalsKeptOff() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void KeepSignalsOff() {
  thread_local bool done = false;
  if (done) return;
  pthread_sigmask(SIG_BLOCK, &Kept(), nullptr);
  done = true;
}

}  // namespace eisbach
