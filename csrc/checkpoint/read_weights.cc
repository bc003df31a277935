#include "checkpoint/read_weights.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/box.h"
#include "checkpoint/folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors_file.h"
#include "checkpoint/shard_set.h"
#include "checkpoint/stored_tensor.h"
#include "core/mapped_file.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

// Logical tensors that slices come to, from any file.
class WholeTensors {
 public:
  absl::Status Add(const SavedSlice& slice, const std::byte* bytes) {
    const auto [found, is_new] = index_.emplace(slice.name, tensors_.size());
    if (is_new) {
      tensors_.push_back({slice.name, slice.shape,
                          std::vector<float>(slice.shape.elements())});
      coverage_.emplace_back(WholeBox(slice.shape));
    }
    LogicalTensor& tensor = tensors_[found->second];
    if (tensor.shape != slice.shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", slice.name, "\" is ", slice.shape.ToString(),
                       ", in another file ", tensor.shape.ToString()));
    }
    absl::Status added = coverage_[found->second].Add(slice.box);
    if (!added.ok()) {
      return Annotate(std::move(added), absl::StrCat("\"", slice.name, "\""));
    }
    CopyBox(slice.box, slice.box, bytes, WholeBox(slice.shape),
            tensor.values.data());
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<LogicalTensor>> Finish() && {
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (coverage_[i].complete()) continue;
      return absl::NotFoundError(
          absl::StrCat("no file has ", coverage_[i].missing(), " of the ",
                       tensors_[i].shape.elements(), " elements of \"",
                       tensors_[i].name, "\""));
    }
    return std::move(tensors_);
  }

 private:
  std::vector<LogicalTensor> tensors_;
  std::vector<Coverage> coverage_;
  absl::flat_hash_map<std::string, size_t> index_;
};

absl::Status AddFile(const std::string& path, WholeTensors& tensors) {
  EISBACH_ASSIGN_OR_RETURN(const SafetensorsFile file,
                           SafetensorsFile::Open(path));
  EISBACH_ASSIGN_OR_RETURN(const std::vector<SavedSlice> slices,
                           ReadSlices(file));
  for (const SavedSlice& slice : slices) {
    if (!slice.part.empty()) continue;
    EISBACH_RETURN_IF_ERROR(
        tensors.Add(slice, file.Bytes(*file.Find(slice.Key())).data()));
  }
  return absl::OkStatus();
}

absl::StatusOr<SavedWeights> ReadFrom(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kManifestName);
  EISBACH_ASSIGN_OR_RETURN(const MappedFile text, MappedFile::Open(path));
  absl::StatusOr<Manifest> manifest =
      ParseManifest({reinterpret_cast<const char*>(text.data()), text.size()});
  if (!manifest.ok()) return Annotate(manifest.status(), path);
  std::sort(manifest->files.begin(), manifest->files.end(),
            [](const ManifestFile& a, const ManifestFile& b) {
              return std::tie(a.pipeline, a.tensor) <
                     std::tie(b.pipeline, b.tensor);
            });
  WholeTensors tensors;
  for (const ManifestFile& file : manifest->files) {
    // Size and hash.
    EISBACH_RETURN_IF_ERROR(
        ShardSet::Open(folder, *manifest, file.pipeline, file.tensor).status());
    const std::string shard = absl::StrCat(folder, "/", file.name);
    absl::Status added = AddFile(shard, tensors);
    if (!added.ok()) return Annotate(std::move(added), shard);
  }
  EISBACH_ASSIGN_OR_RETURN(std::vector<LogicalTensor> whole,
                           std::move(tensors).Finish());
  return SavedWeights{manifest->step, std::move(manifest->config),
                      std::move(whole)};
}

}  // namespace

absl::StatusOr<SavedWeights> ReadWeights(const std::string& path) {
  absl::StatusOr<SavedWeights> result = ReadFrom(path);
  if (result.ok()) return result;
  return Annotate(result.status(), absl::StrCat("read ", path));
}

}  // namespace eisbach::checkpoint
