#include "checkpoint/safetensors_header.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/json.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

using nlohmann::json;

// The format wants '{' first; only spaces may follow the object.
absl::StatusOr<json> ParseObject(absl::string_view text) {
  if (text.empty() || text[0] != '{') {
    return absl::InvalidArgumentError("the header does not begin with {");
  }
  return ReadJson(text, "the header");
}

absl::StatusOr<std::map<std::string, std::string>> ParseMetadata(
    const json& value) {
  if (!value.is_object())
    return absl::InvalidArgumentError("__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("__metadata__ \"", key, "\" is not a string"));
    }
    metadata[key] = text.get_ref<const std::string&>();
  }
  return metadata;
}

const json* Field(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

// A list of sizes, none negative, each below 2^63.
std::optional<std::vector<int64_t>> Sizes(const json* value) {
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<int64_t> sizes;
  for (const json& item : *value) {
    if (!item.is_number_unsigned()) return std::nullopt;
    const uint64_t size = item.get<uint64_t>();
    if (size > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    sizes.push_back(static_cast<int64_t>(size));
  }
  return sizes;
}

// None when the product does not fit.
std::optional<uint64_t> TensorBytes(const std::vector<int64_t>& shape,
                                    size_t element_bytes) {
  uint64_t bytes = element_bytes;
  bool overflow = false;
  for (int64_t size : shape) {
    overflow |=
        __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes);
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  if (overflow) return std::nullopt;
  return bytes;
}

absl::StatusOr<SafetensorsEntry> ParseEntry(const std::string& name,
                                            const json& value,
                                            size_t data_bytes) {
  const auto error = [&name](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor \"", name, "\": ", what));
  };
  if (!value.is_object()) return error("is not an object");
  const json* dtype = Field(value, "dtype");
  if (dtype == nullptr || !dtype->is_string()) return error("has no dtype");
  const std::string& dtype_name = dtype->get_ref<const std::string&>();
  const auto shape = Sizes(Field(value, "shape"));
  if (!shape) return error("shape is not a list of sizes");
  const auto offsets = Sizes(Field(value, "data_offsets"));
  if (!offsets || offsets->size() != 2) {
    return error("data_offsets is not [begin, end]");
  }
  const size_t begin = (*offsets)[0], end = (*offsets)[1];
  if (begin > end || end > data_bytes) {
    return error(absl::StrCat("data_offsets [", begin, ", ", end,
                              "] is not within ", data_bytes,
                              " bytes of data"));
  }
  const Shape tensor_shape((absl::MakeConstSpan(*shape)));
  // What a type of tomorrow takes is not known, so nothing but its place can be
  // checked.
  const std::optional<size_t> width = SafetensorsElementBytes(dtype_name);
  const std::optional<uint64_t> bytes =
      width ? TensorBytes(*shape, *width) : end - begin;
  if (!bytes || *bytes != end - begin) {
    return error(absl::StrCat(dtype_name, tensor_shape.ToString(), " takes ",
                              bytes ? absl::StrCat(*bytes) : "too many",
                              " bytes, but data_offsets hold ", end - begin));
  }
  return SafetensorsEntry{
      name,         dtype_name, DTypeFromSafetensors(dtype_name),
      tensor_shape, begin,      end};
}

absl::Status CheckNoHoles(const std::vector<SafetensorsEntry>& entries,
                          size_t data_bytes) {
  size_t covered = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != covered) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor \"", entry.name, "\": begins at byte ", entry.begin,
          entry.begin < covered ? ", inside the one before that ends at "
                                : ", leaving a hole after ",
          covered));
    }
    covered = entry.end;
  }
  if (covered == data_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the tensors end at byte ", covered,
                   " of the data, which has ", data_bytes));
}

bool IsUtf8(const std::string& text) {
  const std::string dumped =
      json(text).dump(-1, ' ', false, json::error_handler_t::ignore);
  const json back = json::parse(dumped, nullptr, /*allow_exceptions=*/false);
  return back.is_string() && back.get_ref<const std::string&>() == text;
}

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view text,
                                                         size_t data_bytes) {
  EISBACH_ASSIGN_OR_RETURN(const json root, ParseObject(text));
  SafetensorsHeader header;
  for (const auto& [name, value] : root.items()) {
    if (name == kSafetensorsMetadata) {
      EISBACH_ASSIGN_OR_RETURN(header.metadata, ParseMetadata(value));
      continue;
    }
    EISBACH_ASSIGN_OR_RETURN(SafetensorsEntry entry,
                             ParseEntry(name, value, data_bytes));
    header.entries.push_back(std::move(entry));
  }
  std::stable_sort(header.entries.begin(), header.entries.end(),
                   [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
                     return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
                   });
  EISBACH_RETURN_IF_ERROR(CheckNoHoles(header.entries, data_bytes));
  return header;
}

absl::StatusOr<std::string> FormatSafetensorsHeader(
    const SafetensorsHeader& header) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) {
    nlohmann::ordered_json& metadata = root[std::string(kSafetensorsMetadata)];
    for (const auto& [key, value] : header.metadata) {
      if (!IsUtf8(key) || !IsUtf8(value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("metadata \"", key, "\" is not UTF-8"));
      }
      metadata[key] = value;
    }
  }
  for (const SafetensorsEntry& entry : header.entries) {
    if (!IsUtf8(entry.name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor name \"", entry.name, "\" is not UTF-8"));
    }
    nlohmann::ordered_json& item = root[entry.name];
    item["dtype"] = entry.dtype_name;
    item["shape"] = nlohmann::ordered_json::array();
    for (int64_t size : entry.shape.dims()) item["shape"].push_back(size);
    item["data_offsets"] = {entry.begin, entry.end};
  }
  std::string text = root.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxSafetensorsHeader) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a header of ", text.size(), " bytes is over the format's limit of ",
        kMaxSafetensorsHeader));
  }
  return text;
}

}  // namespace eisbach::checkpoint
