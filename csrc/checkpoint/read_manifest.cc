#include "checkpoint/read_manifest.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/folder.h"
#include "core/content_hash.h"
#include "core/regular_file.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {

absl::StatusOr<ManifestText> ReadManifest(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kManifestName);
  EISBACH_ASSIGN_OR_RETURN(std::string text,
                           ReadWholeFile(path, kMaxManifestBytes));
  absl::StatusOr<Manifest> manifest = ParseManifest(text);
  if (!manifest.ok()) return Annotate(manifest.status(), path);
  EISBACH_RETURN_IF_ERROR(CheckFolderName(folder, manifest->step));
  const uint64_t hash = ContentHash(text);
  return ManifestText{*std::move(manifest), std::move(text), hash};
}

}  // namespace eisbach::checkpoint
