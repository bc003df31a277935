#pragma once

#include <string>

#include "absl/status/status.h"

namespace eisbach {

// Folders of one mode, 0750 less the umask, as files are 0640: for user and
// group. One that is there already stays as it is. Errors name the folder.

// Makes `path`; the folder above it must be there.
absl::Status MakeFolder(const std::string& path);
// Makes `path` and those above it.
absl::Status MakeFolders(const std::string& path);

}  // namespace eisbach
