#include "comm/mpi/abort_job.h"

#include <dlfcn.h>
#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <thread>

namespace eisbach::comm {
namespace {

// PMIx_Abort of the PMIx standard, 3.1 and later: `procs` null for the whole
// job.
using PmixAbort = int (*)(int status, const char* message, void* procs,
                          size_t count);

// Null where MPI does not speak PMIx.
PmixAbort FindPmixAbort() {
  // Open MPI has loaded it, for itself alone.
  void* library = dlopen("libpmix.so.2", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return nullptr;
  return reinterpret_cast<PmixAbort>(dlsym(library, "PMIx_Abort"));
}

}  // namespace

void AbortJob(int code) {
  // Success is 0; then the launcher is ending this process and all others. What
  // they can ask this one while they end, they may: it goes last.
  if (const PmixAbort abort = FindPmixAbort();
      abort != nullptr && abort(code, nullptr, nullptr, 0) == 0) {
    std::this_thread::sleep_for(std::chrono::seconds(2));
    std::_Exit(code);
  }
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

}  // namespace eisbach::comm
