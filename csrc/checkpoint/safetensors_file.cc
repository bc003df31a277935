#include "checkpoint/safetensors_file.h"

#include "absl/strings/str_cat.h"
#include "checkpoint/safetensors_header.h"
#include "core/finite.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(absl::string_view path) {
  EISBACH_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  SafetensorsFile file(std::move(mapped));
  const size_t size = file.file_.size();
  if (size < sizeof(uint64_t)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": has ", size, " bytes, too few for a safetensors header"));
  }
  const uint64_t header_bytes = file.file_.Load<uint64_t>(0);
  if (header_bytes > kMaxSafetensorsHeader ||
      header_bytes > size - sizeof(uint64_t)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": a header of ", header_bytes, " bytes in a file of ", size,
        "; at most ", kMaxSafetensorsHeader, ": no safetensors file"));
  }
  file.data_begin_ = sizeof(uint64_t) + header_bytes;
  const absl::string_view text(
      reinterpret_cast<const char*>(file.file_.data()) + sizeof(uint64_t),
      header_bytes);
  absl::StatusOr<SafetensorsHeader> header =
      ParseSafetensorsHeader(text, size - file.data_begin_);
  if (!header.ok()) return Annotate(header.status(), path);
  file.entries_ = std::move(header->entries);
  file.metadata_ = std::move(header->metadata);
  for (size_t i = 0; i < file.entries_.size(); ++i) {
    file.index_[file.entries_[i].name] = i;
  }
  return file;
}

const SafetensorsEntry* SafetensorsFile::Find(absl::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

std::span<const std::byte> SafetensorsFile::Bytes(
    const SafetensorsEntry& entry) const {
  return {file_.data() + OffsetOf(entry), entry.bytes()};
}

absl::StatusOr<std::span<const std::byte>> SafetensorsFile::Bytes(
    absl::string_view name, DType dtype, const Shape& shape) const {
  const SafetensorsEntry* entry = Find(name);
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat(path(), ": has no tensor \"", name,
                                            "\" among ", entries_.size()));
  }
  if (entry->dtype != dtype || entry->shape != shape) {
    return absl::InvalidArgumentError(
        absl::StrCat(path(), ": tensor \"", name, "\" is ", entry->dtype_name,
                     entry->shape.ToString(), ", not ", SafetensorsName(dtype),
                     shape.ToString()));
  }
  return Bytes(*entry);
}

absl::Status SafetensorsFile::CheckFinite() const {
  for (const SafetensorsEntry& entry : entries_) {
    if (!entry.dtype) continue;
    const auto at = FirstNonFinite(*entry.dtype, Bytes(entry));
    if (at) return NotFinite(entry, *at);
  }
  return absl::OkStatus();
}

absl::Status SafetensorsFile::NotFinite(const SafetensorsEntry& entry,
                                        size_t element) const {
  return absl::InvalidArgumentError(absl::StrCat(
      path(), ": tensor \"", entry.name, "\" is not finite: element ", element,
      " of ", entry.shape.elements(), " is NaN or infinite"));
}

}  // namespace eisbach::checkpoint
