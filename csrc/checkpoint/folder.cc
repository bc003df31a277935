#include "checkpoint/folder.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "core/atomic_file.h"
#include "core/errno_status.h"
#include "core/make_folder.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kPrefix = "step-";
constexpr size_t kDigits = 8;

absl::Status Error(const std::error_code& error, absl::string_view what) {
  return ErrnoError(error.value(), what);
}

// The step in a folder's name; none for other names.
std::optional<int64_t> StepOf(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kPrefix) || name.size() < kDigits) {
    return std::nullopt;
  }
  for (char c : name) {
    if (c < '0' || c > '9') return std::nullopt;
  }
  int64_t step = 0;
  if (!absl::SimpleAtoi(name, &step)) return std::nullopt;
  return step;
}

}  // namespace

std::string StepFolder(absl::string_view root, int64_t step) {
  return absl::StrFormat("%s/%s%0*d", root, kPrefix, static_cast<int>(kDigits),
                         step);
}

std::string UnfinishedFolder(absl::string_view root, int64_t step) {
  return absl::StrCat(StepFolder(root, step), ".unfinished");
}

absl::Status CheckFolderName(const std::string& path, int64_t step) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) return Error(error, absl::StrCat("open ", path));
  const std::string name = fs::path(StepFolder(".", step)).filename().string();
  if (real.filename() == name) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(real.string(), " holds step ", step,
                   ": a folder of that step is called ", name));
}

absl::StatusOr<std::optional<std::string>> LatestCheckpoint(
    absl::string_view root) {
  std::error_code error;
  fs::directory_iterator entries(std::string(root), error);
  if (error == std::errc::no_such_file_or_directory) return std::nullopt;
  std::optional<int64_t> latest;
  for (; !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    const auto step = StepOf(entries->path().filename().string());
    std::error_code ignored;
    if (step && entries->is_directory(ignored) &&
        (!latest || *step > *latest)) {
      latest = step;
    }
  }
  if (error) return Error(error, absl::StrCat("list ", root));
  if (!latest) return std::nullopt;
  return StepFolder(root, *latest);
}

absl::Status MakeEmptyFolder(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return Error(error, absl::StrCat("remove ", path));
  const std::string root = fs::path(path).parent_path().string();
  if (!root.empty() && !fs::exists(root, error)) {
    EISBACH_RETURN_IF_ERROR(MakeFolder(root));
    const std::string above = fs::path(root).parent_path().string();
    EISBACH_RETURN_IF_ERROR(SyncFolder(above.empty() ? "." : above));
  }
  return MakeFolder(path);
}

absl::Status FinishFolder(const std::string& unfinished,
                          const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error)) {
    return absl::AlreadyExistsError(absl::StrCat(path, " is already there"));
  }
  EISBACH_RETURN_IF_ERROR(SyncFolder(unfinished));
  fs::rename(unfinished, path, error);
  if (error) {
    return Error(error, absl::StrCat("rename ", unfinished, " to ", path));
  }
  const std::string root = fs::path(path).parent_path().string();
  return SyncFolder(root.empty() ? "." : root);
}

void RemoveFolder(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

}  // namespace eisbach::checkpoint
