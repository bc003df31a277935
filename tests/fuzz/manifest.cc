// The manifest of a checkpoint, as it is and with the hash that it needs to be
// believed; and the comparison of what two of them say.

#include "checkpoint/manifest.h"

#include <string>

#include "fuzz/fuzzing.h"

namespace {

namespace checkpoint = eisbach::checkpoint;

void Read(absl::string_view text) {
  const auto manifest = checkpoint::ParseManifest(text);
  if (!manifest.ok()) return;
  for (const checkpoint::ManifestFile& file : manifest->files) {
    EISBACH_CHECK(!file.name.empty() && file.name[0] != '.');
    EISBACH_CHECK(file.name.find('/') == std::string::npos);
  }
  const auto written = checkpoint::FormatManifest(*manifest);
  EISBACH_CHECK(written.ok());
  const auto again = checkpoint::ParseManifest(*written);
  EISBACH_CHECK(again.ok());
  EISBACH_CHECK(again->step == manifest->step);
  EISBACH_CHECK(again->files.size() == manifest->files.size());
  EISBACH_CHECK(checkpoint::CheckConfig(again->config, manifest->config).ok());
  (void)checkpoint::CheckConfig(manifest->config, manifest->state);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text = eisbach::fuzz::Text(data, size);
  Read(text);
  const auto sealed = checkpoint::SealManifest(text);
  if (sealed.ok()) Read(*sealed);
  return 0;
}
