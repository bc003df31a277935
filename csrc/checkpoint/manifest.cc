#include "checkpoint/manifest.h"

#include <algorithm>
#include <cfloat>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "core/axis.h"
#include "core/content_hash.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "ops/loss_scale.h"

namespace eisbach::checkpoint {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "eisbach.checkpoint";
constexpr char kHashKey[] = "xxh64";
constexpr size_t kMostShown = 80;
constexpr Axis kAxes[] = {Axis::kPipeline, Axis::kData, Axis::kContext,
                          Axis::kTensor};

absl::StatusOr<json> ParseObject(absl::string_view text,
                                 absl::string_view what) {
  EISBACH_ASSIGN_OR_RETURN(json value, ReadJson(text, what));
  if (value.is_object()) return value;
  return absl::InvalidArgumentError(
      absl::StrCat(what, " is not a JSON object"));
}

// Of all members but the hash itself, spelled in one way.
uint64_t HashOfMembers(json root) {
  root.erase(kHashKey);
  return ContentHash(root.dump());
}

// A value as an error shows it.
std::string Shown(const json& value) {
  std::string text = value.dump();
  if (text.size() > kMostShown) {
    text.resize(kMostShown);
    text += "...";
  }
  return text;
}

// Reads the fields of one object; the first error stays.
class Fields {
 public:
  Fields(const json& object, std::string where)
      : object_(object), where_(std::move(where)) {
    if (!object.is_object()) Fail(absl::StrCat(where_, " is not an object"));
  }

  int64_t Integer(const char* key, int64_t least, int64_t most = INT64_MAX) {
    const json* value = Find(key);
    if (value == nullptr) return least;
    // A number past INT64_MAX comes out negative.
    const int64_t number =
        value->is_number_integer() ? value->get<int64_t>() : least - 1;
    if (number >= least && number <= most) return number;
    Fail(absl::StrCat(where_, ".", key, "=", Shown(*value),
                      " is not a whole number of ", least, " or more"));
    return least;
  }

  float Float(const char* key, float least) {
    const json* value = Find(key);
    if (value == nullptr) return least;
    const double number = value->is_number() ? value->get<double>() : least - 1;
    if (number >= least && number <= FLT_MAX) return static_cast<float>(number);
    Fail(absl::StrCat(where_, ".", key, "=", Shown(*value),
                      " is not a number of ", least, " or more"));
    return least;
  }

  int Size(const char* key, int least) {
    return static_cast<int>(Integer(key, least, INT32_MAX));
  }

  std::string String(const char* key) {
    const json* value = Find(key);
    if (value == nullptr) return "";
    if (!value->is_string()) {
      Fail(absl::StrCat(where_, ".", key, " is not a string"));
      return "";
    }
    return value->get<std::string>();
  }

  const json& Object(const char* key) {
    static const json* const kEmpty = new json(json::object());
    const json* value = Find(key);
    if (value == nullptr) return *kEmpty;
    if (value->is_object()) return *value;
    Fail(absl::StrCat(where_, ".", key, " is not an object"));
    return *kEmpty;
  }

  const json& List(const char* key) {
    static const json* const kEmpty = new json(json::array());
    const json* value = Find(key);
    if (value == nullptr) return *kEmpty;
    if (value->is_array()) return *value;
    Fail(absl::StrCat(where_, ".", key, " is not a list"));
    return *kEmpty;
  }

  void Fail(absl::string_view what) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(what);
  }
  const absl::Status& status() const { return status_; }

 private:
  const json* Find(const char* key) {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    Fail(absl::StrCat(where_, " has no ", key));
    return nullptr;
  }

  const json& object_;
  const std::string where_;
  absl::Status status_;
};

absl::StatusOr<uint64_t> ParseHash(const std::string& text,
                                   absl::string_view of) {
  uint64_t hash = 0;
  if (text.size() == 16 && absl::SimpleHexAtoi(text, &hash)) return hash;
  return absl::InvalidArgumentError(absl::StrCat(
      "xxh64 \"", text, "\" of ", of, " is not 16 hexadecimal digits"));
}

absl::StatusOr<ManifestFile> ParseFile(const json& value) {
  Fields fields(value, "files[]");
  ManifestFile file;
  file.name = fields.String("name");
  file.pipeline = fields.Size("pipeline", 0);
  file.tensor = fields.Size("tensor", 0);
  file.data = fields.Size("data", 0);
  file.bytes = static_cast<uint64_t>(fields.Integer("bytes", 0));
  const std::string hash = fields.String("xxh64");
  EISBACH_RETURN_IF_ERROR(fields.status());
  // A name must not lead out of the folder.
  if (file.name.empty() || file.name[0] == '.' ||
      file.name.find('/') != std::string::npos ||
      file.name.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", file.name, "\" is no plain file name"));
  }
  EISBACH_ASSIGN_OR_RETURN(file.hash, ParseHash(hash, file.name));
  return file;
}

absl::StatusOr<ManifestId> ParseId(const json& value, const char* where) {
  Fields fields(value, where);
  const int64_t step = fields.Integer("step", 0);
  const std::string hash = fields.String(kHashKey);
  EISBACH_RETURN_IF_ERROR(fields.status());
  EISBACH_ASSIGN_OR_RETURN(const uint64_t number, ParseHash(hash, where));
  return ManifestId{step, number};
}

absl::StatusOr<optim::LossScale> ParseLossScale(const json& value) {
  Fields fields(value, "loss_scale");
  optim::LossScale scale;
  scale.scale = fields.Float("scale", ops::kLeastLossScale);
  scale.good_steps = static_cast<int>(
      fields.Integer("good_steps", 0, ops::kMostLossScaleWindow));
  EISBACH_RETURN_IF_ERROR(fields.status());
  return scale;
}

absl::StatusOr<std::vector<double>> ParseNumbers(const json& list,
                                                 absl::string_view what) {
  std::vector<double> numbers;
  for (const json& value : list) {
    if (!value.is_number()) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " holds ", Shown(value), ", which is no number"));
    }
    numbers.push_back(value.get<double>());
  }
  return numbers;
}

absl::StatusOr<optim::SpikeHistory> ParseHistory(const json& value) {
  Fields fields(value, "history");
  const json& losses = fields.List("losses");
  const json& norms = fields.List("norms");
  optim::SpikeHistory history;
  history.in_a_row = fields.Size("in_a_row", 0);
  // A double holds it on the device.
  history.skipped = fields.Integer("skipped", 0, int64_t{1} << 53);
  EISBACH_RETURN_IF_ERROR(fields.status());
  EISBACH_ASSIGN_OR_RETURN(history.losses,
                           ParseNumbers(losses, "history.losses"));
  EISBACH_ASSIGN_OR_RETURN(history.norms, ParseNumbers(norms, "history.norms"));
  if (history.losses.size() != history.norms.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "history has ", history.losses.size(), " losses and ",
        history.norms.size(), " norms, which are of the same steps"));
  }
  return history;
}

absl::Status CheckFiles(const Manifest& manifest) {
  const auto& layout = manifest.layout;
  // Of each rank of the model, which shares there are.
  std::map<std::pair<int, int>, std::set<int>> shares;
  std::set<std::string> names;
  for (const ManifestFile& file : manifest.files) {
    if (file.pipeline >= layout[Axis::kPipeline] ||
        file.tensor >= layout[Axis::kTensor] ||
        file.data >= layout[Axis::kData] * layout[Axis::kContext]) {
      return absl::InvalidArgumentError(absl::StrCat(
          file.name, " is of pipeline ", file.pipeline, ", tensor ",
          file.tensor, " and data ", file.data, ", outside the layout"));
    }
    if (!shares[{file.pipeline, file.tensor}].insert(file.data).second ||
        !names.insert(file.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.name, " is listed twice"));
    }
  }
  for (const auto& [rank, data] : shares) {
    if (*data.rbegin() + 1 == static_cast<int>(data.size())) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "lists ", data.size(), " of ", *data.rbegin() + 1,
        " or more files of pipeline ", rank.first, ", tensor ", rank.second));
  }
  const size_t expected = static_cast<size_t>(layout[Axis::kPipeline]) *
                          static_cast<size_t>(layout[Axis::kTensor]);
  if (shares.size() == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("lists files of ", shares.size(),
                   " ranks of the model, the layout has ", expected));
}

// "/model/heads" as "model.heads", "/data/0" as "data[0]".
std::string DottedPath(const std::string& pointer) {
  std::string path;
  for (absl::string_view part :
       absl::StrSplit(pointer, '/', absl::SkipEmpty())) {
    if (std::all_of(part.begin(), part.end(), absl::ascii_isdigit)) {
      absl::StrAppend(&path, "[", part, "]");
    } else {
      absl::StrAppend(&path, path.empty() ? "" : ".",
                      absl::StrReplaceAll(part, {{"~1", "/"}, {"~0", "~"}}));
    }
  }
  return path;
}

}  // namespace

parallel::Coordinates LayoutOf(const parallel::Mesh& mesh) {
  parallel::Coordinates layout;
  for (Axis axis : kAxes) layout[axis] = mesh.size(axis);
  return layout;
}

absl::StatusOr<std::string> FormatManifest(const Manifest& manifest) {
  EISBACH_ASSIGN_OR_RETURN(json config, ParseObject(manifest.config, "config"));
  EISBACH_ASSIGN_OR_RETURN(json state, ParseObject(manifest.state, "state"));
  json root;
  root["format"] = kFormat;
  root["version"] = kManifestVersion;
  root["step"] = manifest.step;
  for (Axis axis : kAxes) {
    root["layout"][std::string(Name(axis))] = manifest.layout[axis];
  }
  root["optimizer_state"] = manifest.optimizer_state;
  root["config"] = std::move(config);
  root["state"] = std::move(state);
  if (manifest.loss_scale) {
    root["loss_scale"]["scale"] = manifest.loss_scale->scale;
    root["loss_scale"]["good_steps"] = manifest.loss_scale->good_steps;
  }
  if (manifest.history) {
    json& history = root["history"];
    history["losses"] = manifest.history->losses;
    history["norms"] = manifest.history->norms;
    history["in_a_row"] = manifest.history->in_a_row;
    history["skipped"] = manifest.history->skipped;
  }
  if (manifest.parent) {
    root["parent"]["step"] = manifest.parent->step;
    root["parent"][kHashKey] = HashText(manifest.parent->hash);
  }
  root["eisbach"] = EISBACH_VERSION;
  root["files"] = json::array();
  for (const ManifestFile& file : manifest.files) {
    json item;
    item["name"] = file.name;
    item["pipeline"] = file.pipeline;
    item["tensor"] = file.tensor;
    item["data"] = file.data;
    item["bytes"] = file.bytes;
    item["xxh64"] = HashText(file.hash);
    root["files"].push_back(std::move(item));
  }
  return SealManifest(
      root.dump(-1, ' ', false, json::error_handler_t::replace));
}

absl::StatusOr<std::string> SealManifest(absl::string_view members) {
  EISBACH_ASSIGN_OR_RETURN(json root, ParseObject(members, "the manifest"));
  root[kHashKey] = HashText(HashOfMembers(root));
  return absl::StrCat(root.dump(2), "\n");
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view text) {
  EISBACH_ASSIGN_OR_RETURN(const json root, ParseObject(text, "the file"));
  Fields fields(root, "manifest");
  const std::string format = fields.String("format");
  const int64_t version = fields.Integer("version", 0);
  EISBACH_RETURN_IF_ERROR(fields.status());
  if (format == kFormat && version > 0 && version < kManifestVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("version ", version,
                     " is of an earlier Eisbach, which alone can go on "
                     "with it; this one reads version ",
                     kManifestVersion));
  }
  if (format != kFormat || version != kManifestVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("format \"", format, "\" version ", version, " is not \"",
                     kFormat, "\" version ", kManifestVersion));
  }
  Manifest manifest;
  manifest.step = fields.Integer("step", 0);
  manifest.config = fields.Object("config").dump();
  manifest.state = fields.Object("state").dump();
  Fields layout(fields.Object("layout"), "layout");
  for (Axis axis : kAxes) {
    const std::string name(Name(axis));
    manifest.layout[axis] = layout.Size(name.c_str(), 1);
  }
  for (const json& name : fields.List("optimizer_state")) {
    if (!name.is_string()) {
      return absl::InvalidArgumentError(
          "optimizer_state holds something that is not a string");
    }
    manifest.optimizer_state.push_back(name.get<std::string>());
  }
  if (const auto scale = root.find("loss_scale"); scale != root.end()) {
    EISBACH_ASSIGN_OR_RETURN(manifest.loss_scale, ParseLossScale(*scale));
  }
  if (const auto history = root.find("history"); history != root.end()) {
    EISBACH_ASSIGN_OR_RETURN(manifest.history, ParseHistory(*history));
  }
  if (const auto parent = root.find("parent"); parent != root.end()) {
    EISBACH_ASSIGN_OR_RETURN(manifest.parent, ParseId(*parent, "parent"));
  }
  manifest.version = fields.String("eisbach");
  const json& files = fields.List("files");
  EISBACH_RETURN_IF_ERROR(fields.status());
  EISBACH_RETURN_IF_ERROR(layout.status());
  for (const json& item : files) {
    EISBACH_ASSIGN_OR_RETURN(ManifestFile file, ParseFile(item));
    manifest.files.push_back(std::move(file));
  }
  EISBACH_RETURN_IF_ERROR(CheckFiles(manifest));
  manifest.hash = HashOfMembers(root);
  const std::string expected = fields.String(kHashKey);
  EISBACH_RETURN_IF_ERROR(fields.status());
  if (HashText(manifest.hash) != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("was changed after it was written: the xxh64 of its "
                     "content is ",
                     HashText(manifest.hash), ", not \"", expected, "\""));
  }
  return manifest;
}

absl::StatusOr<std::vector<ConfigChange>> ConfigChanges(
    absl::string_view before, absl::string_view after) {
  EISBACH_ASSIGN_OR_RETURN(const json before_json,
                           ParseObject(before, "the saved config"));
  EISBACH_ASSIGN_OR_RETURN(const json after_json, ParseObject(after, "config"));
  const json old = before_json.flatten(), now = after_json.flatten();
  std::vector<ConfigChange> changes;
  for (const auto& [key, value] : old.items()) {
    if (key.empty()) continue;  // an object without keys
    const auto found = now.find(key);
    if (found == now.end()) {
      changes.push_back({DottedPath(key), Shown(value), std::nullopt});
    } else if (*found != value) {
      changes.push_back({DottedPath(key), Shown(value), Shown(*found)});
    }
  }
  for (const auto& [key, value] : now.items()) {
    if (key.empty() || old.contains(key)) continue;
    changes.push_back({DottedPath(key), std::nullopt, Shown(value)});
  }
  return changes;
}

absl::Status CheckConfig(absl::string_view saved, absl::string_view asked) {
  EISBACH_ASSIGN_OR_RETURN(const std::vector<ConfigChange> changes,
                           ConfigChanges(saved, asked));
  std::vector<std::string> told;
  for (const ConfigChange& change : changes) {
    told.push_back(absl::StrCat(
        change.key,
        change.before ? absl::StrCat("=", *change.before) : " absent",
        " in the checkpoint, ", change.after.value_or("absent"),
        " in this run"));
  }
  if (told.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(told, "; "));
}

}  // namespace eisbach::checkpoint
