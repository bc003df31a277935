#pragma once

#include <signal.h>

namespace eisbach {

// A handler runs on the stack of the thread that it interrupts, wherever the
// stack pointer is. Kernels that oneDNN makes on the spot for AVX2 keep it in
// memory of the heap while they multiply, and a handler would write there. So
// no thread takes a signal within them. Those that a thread raises itself, such
// as SIGSEGV, are never kept off.

// Keeps signals from the calling thread while it lives; they come afterwards.
class SignalsKeptOff {
 public:
  SignalsKeptOff();
  ~SignalsKeptOff();
  SignalsKeptOff(const SignalsKeptOff&) = delete;
  SignalsKeptOff& operator=(const SignalsKeptOff&) = delete;

 private:
  sigset_t before_;
};

// For good: of a thread that does nothing but compute or wait.
void KeepSignalsOff();

}  // namespace eisbach
