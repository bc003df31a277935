// A file of a checkpoint, in a folder whose manifest says that it is as it was
// written: what a peer with bad intent can make.

#include <limits>
#include <string>
#include <vector>

#include "checkpoint/contents.h"
#include "checkpoint/folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/verify.h"
#include "core/content_hash.h"
#include "core/make_folder.h"
#include "fuzz/fuzzing.h"

namespace {

namespace checkpoint = eisbach::checkpoint;

std::string ManifestOf(absl::string_view bytes) {
  checkpoint::Manifest manifest{.step = 1,
                                .layout = {{1, 1, 1, 1}},
                                .optimizer_state = {"m"},
                                .config = "{}",
                                .state = "{}",
                                .files = {}};
  checkpoint::ManifestFile file{
      .name = "a", .pipeline = 0, .tensor = 0, .data = 0};
  file.bytes = bytes.size();
  file.hash = eisbach::ContentHash(bytes);
  manifest.files.push_back(file);
  const auto text = checkpoint::FormatManifest(manifest);
  EISBACH_CHECK(text.ok());
  return *text;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const eisbach::fuzz::ScratchFolder root;
  static const std::string folder = checkpoint::StepFolder(root.path(), 1);
  static const absl::Status made = eisbach::MakeFolder(folder);
  EISBACH_CHECK(made.ok());
  const absl::string_view bytes = eisbach::fuzz::Text(data, size);
  root.Write("step-00000001/a", bytes);
  root.Write("step-00000001/manifest.json", ManifestOf(bytes));
  const auto contents = checkpoint::Contents::Open(folder);
  const auto verified = checkpoint::Verify(
      folder, [](uint64_t, uint64_t) { return absl::OkStatus(); });
  EISBACH_CHECK(verified.ok());
  if (!contents.ok()) {
    EISBACH_CHECK(!verified->faults.empty());
    return 0;
  }
  int64_t total = 0;
  for (const checkpoint::SavedTensor& tensor : contents->tensors()) {
    if (!tensor.whole.ok()) continue;
    total += tensor.shape.elements();
    std::vector<float> values(tensor.shape.elements());
    checkpoint::CopyWhole(tensor, values.data());
    EISBACH_CHECK(checkpoint::Difference(tensor, tensor).elements == 0);
  }
  // No header makes us take more memory than its file has.
  EISBACH_CHECK(total * sizeof(float) <= size);
  return 0;
}
