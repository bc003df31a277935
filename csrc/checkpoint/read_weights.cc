#include "checkpoint/read_weights.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/contents.h"
#include "checkpoint/shard_set.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

absl::StatusOr<SavedWeights> ReadFrom(const std::string& folder) {
  EISBACH_ASSIGN_OR_RETURN(const Contents contents, Contents::Open(folder));
  const Manifest& manifest = contents.manifest();
  for (const ManifestFile& file : manifest.files) {
    EISBACH_RETURN_IF_ERROR(CheckFile(folder, file));
  }
  SavedWeights weights{manifest.step, manifest.config, {}};
  for (const SavedTensor& tensor : contents.tensors()) {
    if (!tensor.part.empty()) continue;
    EISBACH_RETURN_IF_ERROR(tensor.whole);
    std::vector<float> values(tensor.shape.elements());
    CopyWhole(tensor, values.data());
    weights.tensors.push_back({tensor.name, tensor.shape, std::move(values)});
  }
  return weights;
}

}  // namespace

absl::StatusOr<SavedWeights> ReadWeights(const std::string& path) {
  absl::StatusOr<SavedWeights> result = ReadFrom(path);
  if (result.ok()) return result;
  return Annotate(result.status(), absl::StrCat("read ", path));
}

}  // namespace eisbach::checkpoint
