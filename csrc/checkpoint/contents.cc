#include "checkpoint/contents.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/read_manifest.h"
#include "checkpoint/saved_slice.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

absl::Status AgreeOnShape(const SavedTensor& tensor, const SavedSlice& slice,
                          absl::string_view path) {
  if (tensor.shape == slice.shape) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", tensor.Key(), "\" is ", tensor.shape.ToString(),
                   ", in ", path, " ", slice.shape.ToString()));
}

absl::Status CheckWhole(const SavedTensor& tensor) {
  EISBACH_RETURN_IF_ERROR(tensor.whole);
  Coverage coverage(WholeBox(tensor.shape));
  for (const SavedBox& saved : tensor.boxes) {
    absl::Status added = coverage.Add(saved.box);
    if (!added.ok()) {
      return Annotate(std::move(added), absl::StrCat("\"", tensor.Key(), "\""));
    }
  }
  if (coverage.complete()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(
      "no file has ", coverage.missing(), " of the ", tensor.shape.elements(),
      " elements of \"", tensor.Key(), "\""));
}

float ValueAt(const std::byte* row, int64_t i) {
  float value;
  std::memcpy(&value, row + i * sizeof(float), sizeof(float));
  return value;
}

void AddRow(const std::byte* a, const std::byte* b, int64_t count,
            TensorDifference& sum) {
  if (std::memcmp(a, b, count * sizeof(float)) == 0) return;
  for (int64_t i = 0; i < count; ++i) {
    const float x = ValueAt(a, i), y = ValueAt(b, i);
    if (std::memcmp(&x, &y, sizeof(float)) == 0) continue;
    ++sum.elements;
    double absolute = std::numeric_limits<double>::infinity();
    double relative = absolute;
    if (std::isfinite(x) && std::isfinite(y)) {
      absolute = std::abs(static_cast<double>(x) - y);
      const double most = std::max(std::abs(x), std::abs(y));
      relative = most > 0 ? absolute / most : 0;
    }
    sum.absolute = std::max(sum.absolute, absolute);
    sum.relative = std::max(sum.relative, relative);
  }
}

}  // namespace

std::string SavedTensor::Key() const {
  return SavedSlice{part, name, shape, WholeBox(shape)}.Key();
}

absl::StatusOr<Contents> Contents::Open(const std::string& folder) {
  EISBACH_ASSIGN_OR_RETURN(ManifestText text, ReadManifest(folder));
  Contents contents(std::move(text.manifest));
  std::vector<ManifestFile> files = contents.manifest_.files;
  std::sort(files.begin(), files.end(),
            [](const ManifestFile& a, const ManifestFile& b) {
              return std::tie(a.pipeline, a.tensor, a.data) <
                     std::tie(b.pipeline, b.tensor, b.data);
            });
  absl::flat_hash_map<std::pair<std::string, std::string>, size_t> index;
  for (const ManifestFile& listed : files) {
    const std::string path = absl::StrCat(folder, "/", listed.name);
    EISBACH_ASSIGN_OR_RETURN(SafetensorsFile opened,
                             SafetensorsFile::Open(path));
    auto file = std::make_unique<SafetensorsFile>(std::move(opened));
    absl::StatusOr<std::vector<SavedSlice>> slices = ReadSlices(*file);
    if (!slices.ok()) return Annotate(slices.status(), path);
    for (const SavedSlice& slice : *slices) {
      const auto [found, is_new] = index.emplace(
          std::pair(slice.part, slice.name), contents.tensors_.size());
      if (is_new) {
        contents.tensors_.push_back(
            {slice.part, slice.name, slice.shape, {}, absl::OkStatus()});
      }
      SavedTensor& tensor = contents.tensors_[found->second];
      tensor.whole.Update(AgreeOnShape(tensor, slice, path));
      tensor.boxes.push_back(
          {slice.box, file->Bytes(*file->Find(slice.Key()))});
    }
    contents.files_.push_back(std::move(file));
  }
  for (SavedTensor& tensor : contents.tensors_) {
    tensor.whole = CheckWhole(tensor);
  }
  return contents;
}

void CopyWhole(const SavedTensor& tensor, float* values) {
  const Box whole = WholeBox(tensor.shape);
  for (const SavedBox& saved : tensor.boxes) {
    CopyBox(saved.box, saved.box, saved.bytes.data(), whole, values);
  }
}

TensorDifference Difference(const SavedTensor& a, const SavedTensor& b) {
  TensorDifference sum;
  for (const SavedBox& from : a.boxes) {
    for (const SavedBox& to : b.boxes) {
      const std::optional<Box> both = Intersect(from.box, to.box);
      if (!both) continue;
      ForEachRow(*both, from.box, to.box,
                 [&](int64_t at_a, int64_t at_b, int64_t count) {
                   AddRow(from.bytes.data() + at_a * sizeof(float),
                          to.bytes.data() + at_b * sizeof(float), count, sum);
                 });
    }
  }
  return sum;
}

}  // namespace eisbach::checkpoint
