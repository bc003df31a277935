#include "core/cgroup.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace eisbach {
namespace {

using Words = std::vector<std::string>;

bool Lists(absl::string_view list, absl::string_view word) {
  const std::vector<absl::string_view> words = absl::StrSplit(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The path of this process in the hierarchy: the line "0::/path" of version 2,
// "4:cpu,cpuacct:/path" of version 1.
std::optional<std::string> GroupOf(const std::string& root, bool v2,
                                   absl::string_view controller) {
  for (const std::string& line : LinesOf(root + "/proc/self/cgroup")) {
    const Words parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    if (v2 ? parts[0] == "0" && parts[1].empty()
           : Lists(parts[1], controller)) {
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
std::optional<Mount> MountOf(const std::string& root, bool v2,
                             absl::string_view controller) {
  for (const std::string& line : LinesOf(root + "/proc/self/mountinfo")) {
    const Words halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2) continue;
    const Words front = absl::StrSplit(halves[0], ' ');
    const Words back = absl::StrSplit(halves[1], ' ');
    if (front.size() < 5 || back.size() < 3) continue;
    if (v2 ? back[0] == "cgroup2"
           : back[0] == "cgroup" && Lists(back[2], controller)) {
      return Mount{front[3], front[4]};
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> LinesOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> CgroupFolders(const std::string& root, bool v2,
                                       absl::string_view controller) {
  const std::optional<std::string> group = GroupOf(root, v2, controller);
  const std::optional<Mount> mount = MountOf(root, v2, controller);
  if (!group.has_value() || !mount.has_value()) return {};
  // A group that is not below what is mounted is that of another namespace.
  absl::string_view below = *group;
  if (absl::StrContains(below, "..") ||
      (mount->group != "/" && !absl::ConsumePrefix(&below, mount->group))) {
    below = "";
  }
  const std::string top = root + mount->point;
  std::vector<std::string> folders = {
      absl::StrCat(top, absl::StripSuffix(below, "/"))};
  while (folders.back().size() > top.size()) {
    const std::string& folder = folders.back();
    folders.push_back(folder.substr(0, folder.rfind('/')));
  }
  return folders;
}

}  // namespace eisbach
