#include "checkpoint/read_weights.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/check_file.h"
#include "checkpoint/contents.h"
#include "core/status_macros.h"
#include "optim/optimizer.h"

namespace eisbach::checkpoint {
namespace {

absl::StatusOr<SavedWeights> ReadFrom(const std::string& folder, bool average) {
  EISBACH_ASSIGN_OR_RETURN(const Contents contents, Contents::Open(folder));
  const Manifest& manifest = contents.manifest();
  const std::vector<std::string>& kept = manifest.optimizer_state;
  if (average &&
      std::find(kept.begin(), kept.end(), optim::kAverageName) == kept.end()) {
    return absl::InvalidArgumentError(
        "no average of the weights was kept (train.ema=0)");
  }
  for (const ManifestFile& file : manifest.files) {
    EISBACH_RETURN_IF_ERROR(CheckFile(folder, file, PageCache::kFill));
  }
  SavedWeights weights{manifest.step, manifest.config, {}};
  for (const SavedTensor& tensor : contents.tensors()) {
    const bool averaged = average && tensor.part == optim::kAverageName;
    if (!tensor.part.empty() && !averaged) continue;
    EISBACH_RETURN_IF_ERROR(tensor.whole);
    if (averaged) {  // the value has come before it
      auto it = std::find_if(
          weights.tensors.rbegin(), weights.tensors.rend(),
          [&](const LogicalTensor& t) { return t.name == tensor.name; });
      if (it == weights.tensors.rend()) {
        return absl::DataLossError(absl::StrCat(
            "\"", tensor.Key(), "\" is there, but not the weights it is of"));
      }
      CopyWhole(tensor, it->values.data());
      continue;
    }
    std::vector<float> values(tensor.shape.elements());
    CopyWhole(tensor, values.data());
    weights.tensors.push_back({tensor.name, tensor.shape, std::move(values)});
  }
  return weights;
}

}  // namespace

absl::StatusOr<SavedWeights> ReadWeights(const std::string& path,
                                         bool average) {
  absl::StatusOr<SavedWeights> result = ReadFrom(path, average);
  if (result.ok()) return result;
  return Annotate(result.status(), absl::StrCat("read ", path));
}

}  // namespace eisbach::checkpoint
