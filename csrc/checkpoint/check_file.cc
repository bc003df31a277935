#include "checkpoint/check_file.h"

#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/finite_scan.h"
#include "checkpoint/safetensors_file.h"
#include "core/content_hash.h"
#include "core/regular_file.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

// Enough for a disk at a time; a few of them stay in a cache of the last level.
constexpr size_t kBlockBytes = size_t{1} << 20;

}  // namespace

absl::Status CheckFile(const std::string& folder, const ManifestFile& file,
                       PageCache cache, const ReadProgress& progress) {
  const std::string path = absl::StrCat(folder, "/", file.name);
  EISBACH_ASSIGN_OR_RETURN(const RegularFile opened, RegularFile::Open(path));
  if (opened.size() != file.bytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has ", opened.size(),
                                                   " bytes, the manifest says ",
                                                   file.bytes));
  }
  // What a damaged header says is an error, told when the hash is right.
  const absl::StatusOr<SafetensorsFile> tensors = SafetensorsFile::Open(path);
  std::optional<FiniteScan> finite;
  if (tensors.ok()) finite.emplace(*tensors);
  const std::vector<ByteRange> blocks =
      finite ? finite->Cut(kBlockBytes) : CutBytes(opened.size(), kBlockBytes);
  BlockReader reader(
      opened, blocks,
      [&](size_t index, std::span<const std::byte> bytes) {
        if (finite) finite->Look(blocks[index], bytes);
      },
      cache);
  ContentHasher hasher;
  for (const ByteRange& block : blocks) {
    EISBACH_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes,
                             reader.Next());
    hasher.Add(bytes);
    EISBACH_RETURN_IF_ERROR(progress(block.begin + block.bytes));
  }
  const uint64_t hash = hasher.hash();
  if (hash != file.hash) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is damaged: its xxh64 is ", HashText(hash),
                     ", the manifest says ", HashText(file.hash)));
  }
  EISBACH_RETURN_IF_ERROR(tensors.status());
  return finite->status();
}

}  // namespace eisbach::checkpoint
