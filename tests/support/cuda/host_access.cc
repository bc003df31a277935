#include "support/cuda/host_access.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "support/cuda/streams.h"

namespace eisbach::doubles {
namespace {

// How a process ends that reads device memory on the host.
constexpr int kReadOnHost = 67;

bool closed = false;
int open = 0;  // how many WithDeviceMemory are under way
struct sigaction before;

// The whole pages of all device memory: of a last page that holds other memory
// as well, the part that is a device's stays open.
void Protect(int protection) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  VisitDeviceMemory([&](void* data, size_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(data);
    const uintptr_t first = (begin + page - 1) / page * page;
    const uintptr_t last = (begin + bytes) / page * page;
    if (first >= last) return;
    if (mprotect(reinterpret_cast<void*>(first), last - first, protection) !=
        0) {
      std::perror("cuda double: mprotect");
      std::_Exit(kReadOnHost);
    }
  });
}

void OnFault(int signal, siginfo_t* info, void*) {
  if (!IsDeviceMemory(info->si_addr)) {
    sigaction(signal, &before, nullptr);  // and fault again
    return;
  }
  constexpr char kText[] =
      "cuda double: the host reads or writes device memory\n";
  const ssize_t written = write(STDERR_FILENO, kText, sizeof(kText) - 1);
  _exit(written < 0 ? 1 : kReadOnHost);
}

}  // namespace

ClosedToHost::ClosedToHost() {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  struct sigaction action {};
  action.sa_sigaction = &OnFault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &before);
  closed = true;
  Protect(PROT_NONE);
}

ClosedToHost::~ClosedToHost() {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  Protect(PROT_READ | PROT_WRITE);
  closed = false;
  sigaction(SIGSEGV, &before, nullptr);
}

bool WithDeviceMemory(const std::function<bool()>& work) {
  if (!closed) return work();
  if (open++ == 0) Protect(PROT_READ | PROT_WRITE);
  const bool result = work();
  if (--open == 0) Protect(PROT_NONE);
  return result;
}

}  // namespace eisbach::doubles
