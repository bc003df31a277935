#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace eisbach {

// The folders of the calling process's cgroup and of those above it, as far as
// they are mounted here, its own first: of the hierarchy of cgroup v2, or of
// that of v1 that has `controller` ("cpu", "memory"). `root` is what "/" is:
// empty, but in tests. Empty where nothing is told.
std::vector<std::string> CgroupFolders(const std::string& root, bool v2,
                                       absl::string_view controller);

// The lines of a file; none where it cannot be read.
std::vector<std::string> LinesOf(const std::string& path);

}  // namespace eisbach
