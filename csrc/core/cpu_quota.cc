#include "core/cpu_quota.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace eisbach {
namespace {

using Words = std::vector<std::string>;

std::vector<std::string> LinesOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

bool Lists(absl::string_view list, absl::string_view word) {
  const std::vector<absl::string_view> words = absl::StrSplit(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The path of this process in the hierarchy that limits processor time: the
// line "0::/path" of version 2, "4:cpu,cpuacct:/path" of version 1.
std::optional<std::string> GroupOf(const std::string& root, bool v2) {
  for (const std::string& line : LinesOf(root + "/proc/self/cgroup")) {
    const Words parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    if (v2 ? parts[0] == "0" && parts[1].empty() : Lists(parts[1], "cpu")) {
      return parts[2];
    }
  }
  return std::nullopt;
}

struct Mount {
  std::string group;  // what is mounted
  std::string point;  // where
};

// A line is "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw".
std::optional<Mount> MountOf(const std::string& root, bool v2) {
  for (const std::string& line : LinesOf(root + "/proc/self/mountinfo")) {
    const Words halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2) continue;
    const Words front = absl::StrSplit(halves[0], ' ');
    const Words back = absl::StrSplit(halves[1], ' ');
    if (front.size() < 5 || back.size() < 3) continue;
    if (v2 ? back[0] == "cgroup2"
           : back[0] == "cgroup" && Lists(back[2], "cpu")) {
      return Mount{front[3], front[4]};
    }
  }
  return std::nullopt;
}

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
  const std::optional<std::string> group = GroupOf(root, v2);
  const std::optional<Mount> mount = MountOf(root, v2);
  if (!group.has_value() || !mount.has_value()) return;
  // A group that is not below what is mounted is that of another namespace.
  absl::string_view below = *group;
  if (absl::StrContains(below, "..") ||
      (mount->group != "/" && !absl::ConsumePrefix(&below, mount->group))) {
    below = "";
  }
  const std::string top = root + mount->point;
  std::string folder = absl::StrCat(top, absl::StripSuffix(below, "/"));
  while (true) {
    if (const auto cores = QuotaIn(folder, v2); cores.has_value()) {
      all.push_back({.group = NumberOf(folder), .cores = *cores});
    }
    if (folder.size() <= top.size()) return;
    folder.resize(folder.rfind('/'));
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
