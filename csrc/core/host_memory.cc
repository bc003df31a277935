#include "core/host_memory.h"

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "core/cgroup.h"

namespace eisbach {
namespace {

// "MemTotal:       24610544 kB"
int64_t TotalOf(const std::string& root) {
  for (const std::string& line : LinesOf(root + "/proc/meminfo")) {
    const std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t kib = 0;
    if (words.size() == 3 && words[0] == "MemTotal:" &&
        absl::SimpleAtoi(words[1], &kib)) {
      return kib << 10;
    }
  }
  return 0;
}

}  // namespace

int64_t HostMemory(const std::string& root) {
  int64_t bytes = TotalOf(root);
  for (const bool v2 : {true, false}) {
    // No limit is "max" in version 2, more than there is in version 1.
    const char* file = v2 ? "/memory.max" : "/memory.limit_in_bytes";
    for (const std::string& folder : CgroupFolders(root, v2, "memory")) {
      const std::vector<std::string> lines = LinesOf(folder + file);
      int64_t limit = 0;
      if (lines.empty() || !absl::SimpleAtoi(lines[0], &limit)) continue;
      if (limit > 0) bytes = bytes == 0 ? limit : std::min(bytes, limit);
    }
  }
  return bytes;
}

}  // namespace eisbach
