#include "checkpoint/safetensors_writer.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "checkpoint/safetensors_header.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

absl::Status CheckSpec(const SafetensorsSpec& spec) {
  if (spec.name == kSafetensorsMetadata) {
    return absl::InvalidArgumentError(
        absl::StrCat("a tensor may not be named \"", spec.name, "\""));
  }
  for (int64_t size : spec.shape.dims()) {
    if (size >= 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor \"", spec.name, "\" has shape ", spec.shape.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::Create(
    absl::string_view path, absl::Span<const SafetensorsSpec> tensors,
    std::map<std::string, std::string> metadata) {
  std::vector<SafetensorsSpec> sorted(tensors.begin(), tensors.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const SafetensorsSpec& a, const SafetensorsSpec& b) {
              const size_t wide_a = SizeOf(a.dtype), wide_b = SizeOf(b.dtype);
              return wide_a != wide_b ? wide_a > wide_b : a.name < b.name;
            });
  SafetensorsHeader header{{}, std::move(metadata)};
  std::map<std::string, bool> seen;
  size_t begin = 0;
  for (const SafetensorsSpec& spec : sorted) {
    EISBACH_RETURN_IF_ERROR(CheckSpec(spec));
    if (!seen.emplace(spec.name, true).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", spec.name, "\" is given twice"));
    }
    const size_t bytes = spec.shape.elements() * SizeOf(spec.dtype);
    header.entries.push_back({spec.name,
                              std::string(SafetensorsName(spec.dtype)),
                              spec.dtype, spec.shape, begin, begin + bytes});
    begin += bytes;
  }
  EISBACH_ASSIGN_OR_RETURN(const std::string text,
                           FormatSafetensorsHeader(header));
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> file,
                           AtomicFile::Create(path));
  std::unique_ptr<SafetensorsWriter> writer(
      new SafetensorsWriter(std::move(header.entries), std::move(file)));
  const uint64_t header_bytes = text.size();
  EISBACH_RETURN_IF_ERROR(writer->Append(&header_bytes, sizeof(header_bytes)));
  EISBACH_RETURN_IF_ERROR(writer->Append(text.data(), text.size()));
  return writer;
}

absl::Status SafetensorsWriter::Append(const void* data, size_t bytes) {
  hasher_.Add(std::span(static_cast<const std::byte*>(data), bytes));
  return file_->Write(data, bytes);
}

void SafetensorsWriter::SkipFinished() {
  while (current_ < entries_.size() && written_ == entries_[current_].end) {
    ++current_;
  }
}

absl::Status SafetensorsWriter::Write(absl::string_view name, const void* data,
                                      size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  if (current_ == entries_.size() || entries_[current_].name != name) {
    return absl::InvalidArgumentError(absl::StrCat(
        file_->path(), ": tensor \"", name, "\" is written out of turn; next ",
        current_ == entries_.size()
            ? "is the end"
            : absl::StrCat("is \"", entries_[current_].name, "\"")));
  }
  const size_t left = entries_[current_].end - written_;
  if (bytes > left) {
    return absl::InvalidArgumentError(
        absl::StrCat(file_->path(), ": tensor \"", name, "\" gets ", bytes,
                     " bytes, but has ", left, " left"));
  }
  EISBACH_RETURN_IF_ERROR(Append(data, bytes));
  written_ += bytes;
  SkipFinished();
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::Commit() {
  if (current_ < entries_.size()) {
    const SafetensorsEntry& entry = entries_[current_];
    return absl::FailedPreconditionError(
        absl::StrCat(file_->path(), ": tensor \"", entry.name, "\" lacks ",
                     entry.end - written_, " of ", entry.bytes(), " bytes"));
  }
  return file_->Commit();
}

}  // namespace eisbach::checkpoint
