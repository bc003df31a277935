#include "checkpoint/read_weights.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/box.h"
#include "checkpoint/read_manifest.h"
#include "checkpoint/safetensors_file.h"
#include "checkpoint/shard_set.h"
#include "checkpoint/stored_tensor.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

// Logical tensors that slices come to, from any file.
class WholeTensors {
 public:
  // All of them together have at most `most` elements: as many as the files
  // hold.
  explicit WholeTensors(uint64_t most) : left_(most) {}

  absl::Status Add(const SavedSlice& slice, const std::byte* bytes) {
    const auto [found, is_new] = index_.emplace(slice.name, tensors_.size());
    if (is_new) {
      EISBACH_RETURN_IF_ERROR(Take(slice));
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
  // Before memory is taken for it.
  absl::Status Take(const SavedSlice& slice) {
    uint64_t elements = 1;
    for (int64_t size : slice.shape.dims()) {
      if (__builtin_mul_overflow(elements, static_cast<uint64_t>(size),
                                 &elements)) {
        elements = UINT64_MAX;
      }
    }
    if (elements <= left_) {
      left_ -= elements;
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("\"", slice.name, "\" is ", slice.shape.ToString(),
                     ", more than all files hold"));
  }

  uint64_t left_;
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
  EISBACH_ASSIGN_OR_RETURN(ManifestText text, ReadManifest(folder));
  Manifest& manifest = text.manifest;
  uint64_t bytes = 0;
  for (const ManifestFile& file : manifest.files) bytes += file.bytes;
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const ManifestFile& a, const ManifestFile& b) {
              return std::tie(a.pipeline, a.tensor, a.data) <
                     std::tie(b.pipeline, b.tensor, b.data);
            });
  WholeTensors tensors(bytes / sizeof(float));
  for (const ManifestFile& file : manifest.files) {
    EISBACH_RETURN_IF_ERROR(CheckFile(folder, file));
    const std::string shard = absl::StrCat(folder, "/", file.name);
    absl::Status added = AddFile(shard, tensors);
    if (!added.ok()) return Annotate(std::move(added), shard);
  }
  EISBACH_ASSIGN_OR_RETURN(std::vector<LogicalTensor> whole,
                           std::move(tensors).Finish());
  return SavedWeights{manifest.step, std::move(manifest.config),
                      std::move(whole)};
}

}  // namespace

absl::StatusOr<SavedWeights> ReadWeights(const std::string& path) {
  absl::StatusOr<SavedWeights> result = ReadFrom(path);
  if (result.ok()) return result;
  return Annotate(result.status(), absl::StrCat("read ", path));
}

}  // namespace eisbach::checkpoint
