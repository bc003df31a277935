#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors_file.h"
#include "checkpoint/saved_slice.h"

namespace eisbach::checkpoint {

// A place to copy from: `part` of a logical tensor lies in `bytes`, which are
// those of `box`.
struct SliceSource {
  Box part;
  Box box;
  std::span<const std::byte> bytes;
};

// The files in the order in which the rank of stage `pipeline` and tensor rank
// `tensor` of `layout` looks for its slices: first those that hold the same
// part of the model. Layouts may differ.
std::vector<ManifestFile> NearestFirst(const Manifest& manifest,
                                       const parallel::Coordinates& layout,
                                       int pipeline, int tensor);

// The files of a checkpoint as one rank reads them: each is opened only where
// those before it do not hold what is wanted. They are mapped, so that memory
// is taken for what is read alone.
class ShardSet {
 public:
  // `files` have been checked.
  ShardSet(std::string folder, std::vector<ManifestFile> files)
      : folder_(std::move(folder)), files_(std::move(files)) {}

  // Where the elements of `wanted` are. InvalidArgument when a file disagrees
  // on the shape or holds an element that another does; NotFound when no file
  // has some of them. Views live as long as the set.
  absl::StatusOr<std::vector<SliceSource>> Find(const SavedSlice& wanted);

 private:
  struct Shard {
    SafetensorsFile file;
    std::vector<SavedSlice> slices;
    // Part and logical name to the slices' indices.
    absl::flat_hash_map<std::string, std::vector<size_t>> index;
  };

  absl::Status OpenNext();
  absl::Status FindIn(const Shard& shard, const SavedSlice& wanted,
                      Coverage& coverage,
                      std::vector<SliceSource>& sources) const;

  std::string folder_;
  std::vector<ManifestFile> files_;  // in the order in which they are tried
  std::vector<std::unique_ptr<Shard>> shards_;  // of the first files
};

}  // namespace eisbach::checkpoint
