#include "core/cpu_features.h"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#else
#include <fstream>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#endif

namespace eisbach {

#if defined(__aarch64__)

std::vector<std::string> CpuFeatures() {
  const unsigned long first = getauxval(AT_HWCAP);
  const unsigned long second = getauxval(AT_HWCAP2);
  std::vector<std::string> found;
  const auto add = [&](bool has, const char* name) {
    if (has) found.emplace_back(name);
  };
  add(first & HWCAP_ASIMD, "asimd");
  add(first & HWCAP_ASIMDHP, "asimdhp");
  add(first & HWCAP_ASIMDDP, "asimddp");
  add(first & HWCAP_SVE, "sve");
  add(second & HWCAP2_SVE2, "sve2");
  add(second & HWCAP2_I8MM, "i8mm");
  add(second & HWCAP2_BF16, "bf16");
  return found;
}

#else

std::vector<std::string> CpuFeatures() {
  // The kernel lists what the CPU has and the system has enabled.
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (!absl::StartsWith(field.first, "flags")) continue;
    std::vector<std::string> found;
    for (absl::string_view flag :
         absl::StrSplit(field.second, ' ', absl::SkipEmpty())) {
      for (absl::string_view known :
           {"avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"}) {
        if (flag == known) found.emplace_back(flag);
      }
    }
    return found;
  }
  return {};
}

#endif

}  // namespace eisbach
