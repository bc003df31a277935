#include "checkpoint/saved_slice.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/json.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::vector<int64_t> Sizes(const Shape& shape) {
  return {shape.dims().begin(), shape.dims().end()};
}

std::optional<Shape> ParseSizes(const json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<int64_t> sizes;
  for (const json& item : value) {
    if (!item.is_number_integer() || item.get<int64_t>() < 0) {
      return std::nullopt;
    }
    sizes.push_back(item.get<int64_t>());
  }
  return Shape(absl::MakeConstSpan(sizes));
}

absl::StatusOr<SavedSlice> ParseSlice(const json& value) {
  const auto text = [&](const char* key) -> std::optional<std::string> {
    if (!value.is_object()) return std::nullopt;
    const auto found = value.find(key);
    if (found == value.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
  };
  const auto sizes = [&](const char* key) -> std::optional<Shape> {
    if (!value.is_object()) return std::nullopt;
    const auto found = value.find(key);
    return found == value.end() ? std::nullopt : ParseSizes(*found);
  };
  const auto part = text("part"), name = text("name");
  const auto shape = sizes("shape"), start = sizes("start"),
             extent = sizes("extent");
  if (!part || !name || !shape || !start || !extent || shape->rank() < 1 ||
      shape->rank() > 2 || start->rank() != shape->rank() ||
      extent->rank() != shape->rank()) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata \"", kSlicesKey,
                     "\" has an entry without part, name, shape, "
                     "start and extent: ",
                     value.dump().substr(0, 200)));
  }
  for (int d = 0; d < shape->rank(); ++d) {
    if ((*extent)[d] > (*shape)[d] ||
        (*start)[d] > (*shape)[d] - (*extent)[d]) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata \"", kSlicesKey, "\": a slice of \"", *name,
                       "\" does not lie in ", shape->ToString()));
    }
  }
  return SavedSlice{*part, *name, *shape, {*start, *extent}};
}

}  // namespace

std::string SavedSlice::Key() const {
  std::string key =
      part.empty() ? name : absl::StrCat("optimizer.", part, "/", name);
  if (box.extent != shape) {
    absl::StrAppend(&key, "@", absl::StrJoin(box.start.dims(), ","));
  }
  return key;
}

std::string FormatSlices(absl::Span<const SavedSlice> slices) {
  ordered_json list = ordered_json::array();
  for (const SavedSlice& slice : slices) {
    ordered_json item;
    item["part"] = slice.part;
    item["name"] = slice.name;
    item["shape"] = Sizes(slice.shape);
    item["start"] = Sizes(slice.box.start);
    item["extent"] = Sizes(slice.box.extent);
    list.push_back(std::move(item));
  }
  return list.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

absl::StatusOr<std::vector<SavedSlice>> ReadSlices(
    const SafetensorsFile& file) {
  const auto found = file.metadata().find(kSlicesKey);
  if (found == file.metadata().end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("has no metadata \"", kSlicesKey, "\""));
  }
  EISBACH_ASSIGN_OR_RETURN(
      const json list,
      ReadJson(found->second, absl::StrCat("metadata \"", kSlicesKey, "\"")));
  if (!list.is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata \"", kSlicesKey, "\" is not a list"));
  }
  if (list.size() != file.entries().size()) {
    return absl::InvalidArgumentError(absl::StrCat("describes ", list.size(),
                                                   " tensors and holds ",
                                                   file.entries().size()));
  }
  std::vector<SavedSlice> slices;
  for (const json& item : list) {
    EISBACH_ASSIGN_OR_RETURN(SavedSlice slice, ParseSlice(item));
    EISBACH_RETURN_IF_ERROR(
        file.Bytes(slice.Key(), DType::kF32, slice.box.extent).status());
    slices.push_back(std::move(slice));
  }
  return slices;
}

}  // namespace eisbach::checkpoint
