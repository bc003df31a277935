#include "comm/mpi/stale_segments.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace eisbach::comm {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kPrefix = "sm_segment.";

bool IsNumber(const std::string& text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  return names;
}

}  // namespace

std::vector<std::string> MappedSegments(const std::string& proc,
                                        const std::string& pid) {
  std::vector<std::string> segments;
  std::ifstream maps(absl::StrCat(proc, "/", pid, "/maps"));
  for (std::string line; std::getline(maps, line);) {
    const size_t path = line.find('/');
    if (path == std::string::npos) continue;
    const size_t name = line.rfind('/') + 1;
    if (absl::StartsWith(absl::string_view(line).substr(name), kPrefix)) {
      segments.push_back(line.substr(path));
    }
  }
  return segments;
}

void RemoveStaleSegments(const std::string& folder, const std::string& proc,
                         int seconds) {
  const time_t newest = time(nullptr) - seconds;
  std::vector<std::string> candidates;
  for (const std::string& name : NamesIn(folder)) {
    if (!absl::StartsWith(name, kPrefix)) continue;
    const std::string path = absl::StrCat(folder, "/", name);
    struct stat status;
    if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_uid == getuid() && status.st_mtime < newest) {
      candidates.push_back(path);
    }
  }
  if (candidates.empty()) return;
  std::set<std::string> mapped;
  for (const std::string& pid : NamesIn(proc)) {
    if (!IsNumber(pid)) continue;
    for (std::string& path : MappedSegments(proc, pid)) {
      mapped.insert(std::move(path));
    }
  }
  for (const std::string& path : candidates) {
    if (mapped.count(path) == 0) unlink(path.c_str());
  }
}

}  // namespace eisbach::comm
