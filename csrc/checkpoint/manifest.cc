#include "checkpoint/manifest.h"

#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/atomic_file.h"
#include "core/mapped_file.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

using nlohmann::json;

constexpr absl::string_view kFormat = "eisbach.checkpoint";
constexpr int64_t kVersion = 1;

std::string PathOf(absl::string_view folder, absl::string_view name) {
  return absl::StrCat(folder, "/", name);
}

// A name must stay inside the folder.
bool IsPlainName(absl::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find('/') == absl::string_view::npos &&
         name.find('\0') == absl::string_view::npos;
}

class Reader {
 public:
  Reader(std::string path, const json& root)
      : path_(std::move(path)), root_(root) {}

  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
  }

  absl::StatusOr<std::string> String(const json& object,
                                     const char* key) const {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) {
      return Error(absl::StrCat("\"", key, "\" is not a string"));
    }
    return found->get_ref<const std::string&>();
  }

  absl::StatusOr<int64_t> Integer(const json& object, const char* key) const {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_unsigned() ||
        found->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
      return Error(absl::StrCat("\"", key, "\" is not a count"));
    }
    return found->get<int64_t>();
  }

  absl::StatusOr<Manifest> Read() const {
    if (!root_.is_object()) return Error("is not a JSON object");
    EISBACH_ASSIGN_OR_RETURN(const std::string format, String(root_, "format"));
    if (format != kFormat) {
      return Error(
          absl::StrCat("format \"", format, "\" is not \"", kFormat, "\""));
    }
    EISBACH_ASSIGN_OR_RETURN(const int64_t version, Integer(root_, "version"));
    if (version != kVersion) {
      return Error(absl::StrCat("version ", version, " is not ", kVersion));
    }
    Manifest manifest{};
    EISBACH_ASSIGN_OR_RETURN(manifest.step, Integer(root_, "step"));
    EISBACH_ASSIGN_OR_RETURN(manifest.layout, String(root_, "layout"));
    EISBACH_ASSIGN_OR_RETURN(manifest.values, Values());
    EISBACH_ASSIGN_OR_RETURN(manifest.files, Files());
    return manifest;
  }

 private:
  absl::StatusOr<std::map<std::string, std::string>> Values() const {
    const auto values = root_.find("values");
    if (values == root_.end() || !values->is_object()) {
      return Error("\"values\" is not an object");
    }
    std::map<std::string, std::string> result;
    for (const auto& [key, value] : values->items()) {
      EISBACH_ASSIGN_OR_RETURN(result[key], String(*values, key.c_str()));
    }
    return result;
  }

  absl::StatusOr<std::vector<ManifestFile>> Files() const {
    const auto files = root_.find("files");
    if (files == root_.end() || !files->is_array()) {
      return Error("\"files\" is not a list");
    }
    std::vector<ManifestFile> result;
    for (const json& file : *files) {
      if (!file.is_object()) return Error("a file is not an object");
      ManifestFile entry;
      EISBACH_ASSIGN_OR_RETURN(entry.name, String(file, "name"));
      EISBACH_ASSIGN_OR_RETURN(entry.bytes, Integer(file, "bytes"));
      if (!IsPlainName(entry.name)) {
        return Error(absl::StrCat("file name \"", entry.name,
                                  "\" leads out of the folder"));
      }
      result.push_back(std::move(entry));
    }
    return result;
  }

  const std::string path_;
  const json& root_;
};

}  // namespace

absl::StatusOr<ManifestFile> DescribeFile(absl::string_view folder,
                                          absl::string_view name) {
  if (!IsPlainName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" is no plain file name"));
  }
  const std::string path = PathOf(folder, name);
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("stat ", path));
  }
  return ManifestFile{std::string(name), static_cast<int64_t>(info.st_size)};
}

absl::Status WriteManifest(absl::string_view folder, const Manifest& manifest) {
  nlohmann::ordered_json root;
  root["format"] = std::string(kFormat);
  root["version"] = kVersion;
  root["step"] = manifest.step;
  root["layout"] = manifest.layout;
  root["values"] = nlohmann::ordered_json::object();
  for (const auto& [key, value] : manifest.values) root["values"][key] = value;
  root["files"] = nlohmann::ordered_json::array();
  for (const ManifestFile& file : manifest.files) {
    root["files"].push_back({{"name", file.name}, {"bytes", file.bytes}});
  }
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> out,
                           AtomicFile::Create(PathOf(folder, kManifestName)));
  EISBACH_RETURN_IF_ERROR(out->Write(
      root.dump(2, ' ', false, json::error_handler_t::replace) + "\n"));
  return out->Commit();
}

absl::StatusOr<Manifest> ReadManifest(absl::string_view folder) {
  const std::string path = PathOf(folder, kManifestName);
  EISBACH_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const absl::string_view text(reinterpret_cast<const char*>(file.data()),
                               file.size());
  const json root = json::parse(text.begin(), text.end(), nullptr,
                                /*allow_exceptions=*/false);
  EISBACH_ASSIGN_OR_RETURN(Manifest manifest, Reader(path, root).Read());
  for (const ManifestFile& listed : manifest.files) {
    absl::StatusOr<ManifestFile> found = DescribeFile(folder, listed.name);
    if (!found.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, " lists ", listed.name, ": ", found.status().message()));
    }
    if (found->bytes != listed.bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": ", listed.name, " has ", found->bytes,
                       " bytes, not ", listed.bytes));
    }
  }
  return manifest;
}

}  // namespace eisbach::checkpoint
