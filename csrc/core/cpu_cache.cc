#include "core/cpu_cache.h"

#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"

namespace eisbach {

int64_t LastLevelCacheBytes() {
  // The C library asks the CPU itself on x86, and nobody on aarch64.
  const int64_t bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (bytes > 0) return bytes;
  return LastLevelCacheBytes("/sys/devices/system/cpu/cpu0/cache");
}

int64_t LastLevelCacheBytes(const std::string& folder) {
  int highest = 0;
  int64_t bytes = 0;
  for (int i = 0;; ++i) {
    const std::string index = absl::StrCat(folder, "/index", i);
    int level = 0;
    if (!(std::ifstream(absl::StrCat(index, "/level")) >> level)) return bytes;
    int64_t size = 0;
    char unit = 0;
    std::ifstream(absl::StrCat(index, "/size")) >> size >> unit;
    if (level <= highest) continue;
    highest = level;
    bytes = size << (unit == 'M' ? 20 : unit == 'K' ? 10 : 0);
  }
}

}  // namespace eisbach
