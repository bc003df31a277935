#include "core/json.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach {
namespace {

using nlohmann::json;

// Counts what a parser would build. Right for every text up to its first error,
// which is where a parser stops.
absl::Status CheckLimits(absl::string_view text, absl::string_view what,
                         const JsonLimits& limits) {
  size_t depth = 0, values = 1;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '[' || c == '{') {
      ++depth;
      ++values;
    }
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (c == ',') ++values;
    if (depth > limits.depth) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, " is nested more than ", limits.depth, " deep at byte ", i));
    }
    if (values > limits.values) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, " has more than ", limits.values, " values at byte ", i));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<json> ReadJson(absl::string_view text, absl::string_view what,
                              const JsonLimits& limits) {
  EISBACH_RETURN_IF_ERROR(CheckLimits(text, what, limits));
  // The parser takes a NUL for the end of the text.
  if (text.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(what, " is not valid JSON"));
  }
  std::vector<std::set<std::string>> keys;
  std::string twice;
  bool found_twice = false;
  const auto watch = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys.back().insert(key).second && !found_twice) {
        twice = key;
        found_twice = true;
      }
    }
    return true;
  };
  json value = json::parse(text.begin(), text.end(), watch,
                           /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return absl::InvalidArgumentError(absl::StrCat(what, " is not valid JSON"));
  }
  if (found_twice) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " names \"", twice, "\" twice"));
  }
  return value;
}

}  // namespace eisbach
