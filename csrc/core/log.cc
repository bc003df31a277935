#include "core/log.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace eisbach {
namespace {

thread_local int log_rank = -1;

}  // namespace

void SetLogRank(int rank) { log_rank = rank; }
int LogRank() { return log_rank; }

void LogLine(absl::string_view message) {
  std::string line = log_rank < 0 ? absl::StrCat("[eisbach] ", message, "\n")
                                  : absl::StrCat("[eisbach rank ", log_rank,
                                                 "] ", message, "\n");
  [[maybe_unused]] ssize_t n = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace eisbach
