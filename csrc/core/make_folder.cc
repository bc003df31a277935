#include "core/make_folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "core/errno_status.h"
#include "core/status_macros.h"

namespace eisbach {

absl::Status MakeFolder(const std::string& path) {
  constexpr mode_t kFolderMode = 0750;
  if (mkdir(path.c_str(), kFolderMode) == 0) return absl::OkStatus();
  const int error = errno;
  std::error_code ignored;
  if (error == EEXIST && std::filesystem::is_directory(path, ignored)) {
    return absl::OkStatus();
  }
  return ErrnoError(error, absl::StrCat("make folder ", path));
}

absl::Status MakeFolders(const std::string& path) {
  std::filesystem::path made;
  for (const std::filesystem::path& part : std::filesystem::path(path)) {
    made /= part;
    std::error_code ignored;
    if (std::filesystem::is_directory(made, ignored)) continue;
    EISBACH_RETURN_IF_ERROR(MakeFolder(made.string()));
  }
  return absl::OkStatus();
}

}  // namespace eisbach
