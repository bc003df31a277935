#include "core/cpu_features.h"

#include <fstream>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace eisbach {

std::vector<std::string> CpuFeatures() {
  // The kernel lists what the CPU has and the system has enabled.
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (!absl::StartsWith(field.first, "flags") &&
        !absl::StartsWith(field.first, "Features")) {
      continue;
    }
    std::vector<std::string> found;
    for (absl::string_view flag :
         absl::StrSplit(field.second, ' ', absl::SkipEmpty())) {
      for (absl::string_view known : {"avx2", "fma", "avx512f", "avx512_bf16",
                                      "amx_bf16", "asimd", "sve", "bf16"}) {
        if (flag == known) found.emplace_back(flag);
      }
    }
    return found;
  }
  return {};
}

}  // namespace eisbach
