#include "core/cpu_quota.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "core/cgroup.h"

namespace eisbach {
namespace {

using Words = std::vector<std::string>;

// "150000 100000" or "max 100000" in cpu.max; two files in version 1, where -1
// is no limit.
std::optional<double> QuotaIn(const std::string& folder, bool v2) {
  Words words;
  if (v2) {
    const Words lines = LinesOf(folder + "/cpu.max");
    if (!lines.empty()) words = absl::StrSplit(lines[0], ' ');
  } else {
    for (const char* file : {"/cpu.cfs_quota_us", "/cpu.cfs_period_us"}) {
      const Words lines = LinesOf(folder + file);
      if (!lines.empty()) words.push_back(lines[0]);
    }
  }
  double quota = 0, period = 0;
  if (words.size() != 2 || !absl::SimpleAtod(words[0], &quota) ||
      !absl::SimpleAtod(words[1], &period) || quota <= 0 || period <= 0) {
    return std::nullopt;
  }
  return quota / period;
}

uint64_t NumberOf(const std::string& folder) {
  struct stat about = {};
  if (stat(folder.c_str(), &about) != 0) return 0;
  return static_cast<uint64_t>(about.st_dev) << 48 ^ about.st_ino;
}

void AddQuotas(const std::string& root, bool v2, std::vector<CpuQuota>& all) {
  for (const std::string& folder : CgroupFolders(root, v2, "cpu")) {
    if (const auto cores = QuotaIn(folder, v2); cores.has_value()) {
      all.push_back({.group = NumberOf(folder), .cores = *cores});
    }
  }
}

}  // namespace

std::vector<CpuQuota> CpuQuotas(const std::string& root) {
  std::vector<CpuQuota> quotas;
  AddQuotas(root, /*v2=*/true, quotas);
  AddQuotas(root, /*v2=*/false, quotas);
  return quotas;
}

std::optional<double> LeastCpuQuota(const std::vector<CpuQuota>& quotas) {
  std::optional<double> least;
  for (const CpuQuota& quota : quotas) {
    least = std::min(least.value_or(quota.cores), quota.cores);
  }
  return least;
}

}  // namespace eisbach
