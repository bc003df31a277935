#include "comm/mpi/core_binding.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/threads.h"

namespace eisbach::comm {

bool AsksForBinding(absl::string_view command) {
  for (const absl::string_view word :
       {"bind-to", "cpu-set", "cpu-list", "rankfile", "taskset", "numactl"}) {
    if (absl::StrContains(command, word)) return true;
  }
  return false;
}

void WidenLoneRank() {
  const CoreSet mine = UsableCores(), launchers = UsableCores(getppid());
  if (mine.count() != 1 || launchers.count() < 2) return;
  std::ifstream file(absl::StrCat("/proc/", getppid(), "/cmdline"),
                     std::ios::binary);
  const std::string command{std::istreambuf_iterator<char>(file), {}};
  if (command.empty() || AsksForBinding(command)) return;
  UseCores(launchers);
}

}  // namespace eisbach::comm
