#include "checkpoint/verify.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/check_file.h"
#include "checkpoint/contents.h"
#include "checkpoint/folder.h"
#include "checkpoint/read_manifest.h"
#include "checkpoint/safetensors_file.h"
#include "core/errno_status.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

// Faults in the order in which they were found, each once.
class Faults {
 public:
  void Add(const absl::Status& status) {
    if (!status.ok()) Add(std::string(status.message()));
  }
  void Add(std::string fault) {
    if (std::find(found_.begin(), found_.end(), fault) == found_.end()) {
      found_.push_back(std::move(fault));
    }
  }
  std::vector<std::string> Take() && { return std::move(found_); }

 private:
  std::vector<std::string> found_;
};

// The error is that of `progress`.
absl::Status VerifyFile(const std::string& folder, const ManifestFile& file,
                        const ReadProgress& progress, Faults& faults) {
  absl::Status told;
  // What the disk has, and training has the cache for itself.
  const absl::Status whole =
      CheckFile(folder, file, PageCache::kPass, [&](uint64_t bytes) {
        told = progress(bytes);
        return told;
      });
  if (!told.ok() || whole.ok()) return told;
  faults.Add(whole);
  // What its tensors say of a damage.
  const absl::StatusOr<SafetensorsFile> tensors =
      SafetensorsFile::Open(absl::StrCat(folder, "/", file.name));
  faults.Add(tensors.ok() ? tensors->CheckFinite() : tensors.status());
  return absl::OkStatus();
}

void VerifyNames(const std::string& folder, const Manifest& manifest,
                 Faults& faults) {
  namespace fs = std::filesystem;
  std::set<std::string> names{std::string(kManifestName)};
  for (const ManifestFile& file : manifest.files) names.insert(file.name);
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (names.count(name) > 0) continue;
    faults.Add(
        absl::StrCat(folder, "/", name, " is not listed in the manifest"));
  }
  if (error) {
    faults.Add(ErrnoError(error.value(), absl::StrCat("list ", folder)));
  }
}

void VerifyTensors(const std::string& folder, const Contents& contents,
                   Faults& faults) {
  const std::vector<std::string>& parts = contents.manifest().optimizer_state;
  std::set<std::string> values;
  for (const SavedTensor& tensor : contents.tensors()) {
    if (tensor.part.empty()) values.insert(tensor.name);
  }
  for (const SavedTensor& tensor : contents.tensors()) {
    if (!tensor.whole.ok()) {
      faults.Add(absl::StrCat(folder, ": ", tensor.whole.message()));
    }
    if (tensor.part.empty()) continue;
    if (std::find(parts.begin(), parts.end(), tensor.part) == parts.end()) {
      faults.Add(absl::StrCat(folder, ": \"", tensor.Key(),
                              "\" is of a state that the manifest does not "
                              "list in optimizer_state"));
    }
    if (values.count(tensor.name) == 0) {
      faults.Add(absl::StrCat(folder, ": \"", tensor.Key(),
                              "\" is there, but not the weights it is of"));
    }
  }
}

}  // namespace

absl::StatusOr<Verification> Verify(const std::string& path,
                                    const VerifyProgress& progress) {
  Verification result;
  Faults faults;
  const absl::StatusOr<ManifestText> text = ReadManifest(path);
  if (!text.ok()) {
    faults.Add(text.status());
    result.faults = std::move(faults).Take();
    return result;
  }
  const Manifest& manifest = text->manifest;
  result.files = manifest.files.size();
  for (const ManifestFile& file : manifest.files) result.bytes += file.bytes;
  uint64_t done = 0;
  for (const ManifestFile& file : manifest.files) {
    EISBACH_RETURN_IF_ERROR(VerifyFile(
        path, file,
        [&](uint64_t bytes) { return progress(done + bytes, result.bytes); },
        faults));
    done += file.bytes;
  }
  VerifyNames(path, manifest, faults);
  const absl::StatusOr<Contents> contents = Contents::Open(path);
  if (contents.ok()) {
    result.tensors = contents->tensors().size();
    VerifyTensors(path, *contents, faults);
  } else {
    faults.Add(contents.status());
  }
  result.faults = std::move(faults).Take();
  return result;
}

}  // namespace eisbach::checkpoint
