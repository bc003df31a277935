#include "checkpoint/shard_set.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

std::string IndexKey(const SavedSlice& slice) {
  return absl::StrCat(slice.part, "/", slice.name);
}

// How far [a, a + 1) of `of` equal parts of a whole is from [b, b + 1) of
// `among`: 0 where they meet.
int64_t Gap(int64_t a, int64_t of, int64_t b, int64_t among) {
  const int64_t between = std::max(a * among - (b + 1) * of,  //
                                   b * of - (a + 1) * among);
  return std::max<int64_t>(between + 1, 0);
}

}  // namespace

std::vector<ManifestFile> NearestFirst(const Manifest& manifest,
                                       const parallel::Coordinates& layout,
                                       int pipeline, int tensor) {
  const auto key = [&](const ManifestFile& file) {
    return std::tuple(Gap(file.pipeline, manifest.layout[Axis::kPipeline],
                          pipeline, layout[Axis::kPipeline]),
                      Gap(file.tensor, manifest.layout[Axis::kTensor], tensor,
                          layout[Axis::kTensor]),
                      file.pipeline, file.tensor, file.data);
  };
  std::vector<ManifestFile> files = manifest.files;
  std::sort(files.begin(), files.end(),
            [&](const ManifestFile& a, const ManifestFile& b) {
              return key(a) < key(b);
            });
  return files;
}

absl::Status ShardSet::OpenNext() {
  const std::string path =
      absl::StrCat(folder_, "/", files_[shards_.size()].name);
  EISBACH_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
  absl::StatusOr<std::vector<SavedSlice>> slices = ReadSlices(file);
  if (!slices.ok()) return Annotate(slices.status(), path);
  auto shard =
      std::make_unique<Shard>(Shard{std::move(file), *std::move(slices), {}});
  for (size_t i = 0; i < shard->slices.size(); ++i) {
    shard->index[IndexKey(shard->slices[i])].push_back(i);
  }
  shards_.push_back(std::move(shard));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SliceSource>> ShardSet::Find(
    const SavedSlice& wanted) {
  Coverage coverage(wanted.box);
  std::vector<SliceSource> sources;
  for (size_t i = 0; i < files_.size() && !coverage.complete(); ++i) {
    if (i == shards_.size()) EISBACH_RETURN_IF_ERROR(OpenNext());
    absl::Status found = FindIn(*shards_[i], wanted, coverage, sources);
    if (!found.ok()) {
      return Annotate(std::move(found), shards_[i]->file.path());
    }
  }
  if (coverage.complete()) return sources;
  return absl::NotFoundError(absl::StrCat(
      "no file has ", coverage.missing(), " of the ", wanted.box.elements(),
      " elements of \"", wanted.Key(), "\"",
      wanted.part.empty() ? ""
                          : "; what was frozen when it was saved has no "
                            "optimizer state (optimizer.groups)"));
}

absl::Status ShardSet::FindIn(const Shard& shard, const SavedSlice& wanted,
                              Coverage& coverage,
                              std::vector<SliceSource>& sources) const {
  const auto found = shard.index.find(IndexKey(wanted));
  if (found == shard.index.end()) return absl::OkStatus();
  for (size_t i : found->second) {
    const SavedSlice& saved = shard.slices[i];
    if (saved.shape != wanted.shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", saved.name, "\" is ", saved.shape.ToString(),
                       ", the model's ", wanted.shape.ToString()));
    }
    const std::optional<Box> part = Intersect(saved.box, wanted.box);
    if (!part) continue;
    absl::Status added = coverage.Add(*part);
    if (!added.ok()) {
      return Annotate(std::move(added), absl::StrCat("\"", saved.name, "\""));
    }
    sources.push_back(
        {*part, saved.box, shard.file.Bytes(*shard.file.Find(saved.Key()))});
  }
  return absl::OkStatus();
}

}  // namespace eisbach::checkpoint
