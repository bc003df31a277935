#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/safetensors.h"
#include "core/mapped_file.h"

namespace eisbach::checkpoint {

// A memory-mapped safetensors file. Open checks the whole header: sizes, JSON,
// types, names that occur twice, and that the tensors cover the data without
// holes or overlap. Thread-safe.
class SafetensorsFile {
 public:
  // Errors name the file, the tensor where there is one, and the value.
  static absl::StatusOr<SafetensorsFile> Open(absl::string_view path);

  const std::string& path() const { return file_.path(); }
  size_t size() const { return file_.size(); }  // bytes
  // In the order of their data.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }

  const SafetensorsEntry* Find(absl::string_view name) const;  // or null

  // A tensor's bytes, valid as long as the file object; not aligned to its
  // type. The entry is one of this file's.
  std::span<const std::byte> Bytes(const SafetensorsEntry& entry) const;

  // The same by name. NotFound when there is no such tensor, InvalidArgument
  // when its type or shape is another.
  absl::StatusOr<std::span<const std::byte>> Bytes(absl::string_view name,
                                                   DType dtype,
                                                   const Shape& shape) const;

  // Bytes of the file before those of a tensor.
  size_t OffsetOf(const SafetensorsEntry& entry) const {
    return data_begin_ + entry.begin;
  }

  // See MappedFile::Release.
  void Release(const SafetensorsEntry& entry) const {
    file_.Release(OffsetOf(entry), entry.bytes());
  }

  // Reads all of the data. InvalidArgument names the first tensor that holds a
  // NaN or an infinity, and where.
  absl::Status CheckFinite() const;
  // That error, of an element of a tensor.
  absl::Status NotFinite(const SafetensorsEntry& entry, size_t element) const;

 private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  size_t data_begin_ = 0;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
  absl::flat_hash_map<std::string, size_t> index_;
};

}  // namespace eisbach::checkpoint
