#include "data/pair_reference.h"

#include <cmath>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "core/atomic_file.h"
#include "core/content_hash.h"
#include "core/mapped_file.h"
#include "core/status_macros.h"

namespace eisbach::data {
namespace {

constexpr char kPairMagic[8] = "EISPAIR";
constexpr uint32_t kPairVersion = 1;

struct PairHeader {
  char magic[8];
  uint32_t version;
  uint32_t sources;
  uint64_t bound_to;
  uint64_t content;
};
static_assert(sizeof(PairHeader) == 32);

}  // namespace

absl::Status WritePairReference(const std::string& path,
                                const PairReference& reference,
                                absl::string_view bound_to) {
  std::string body;
  const auto append = [&body](const void* data, size_t bytes) {
    body.append(static_cast<const char*>(data), bytes);
  };
  for (const std::vector<double>& source : reference) {
    const uint64_t rows = source.size() / kPairNumbers;
    append(&rows, sizeof(rows));
  }
  for (const std::vector<double>& source : reference) {
    append(source.data(), source.size() * sizeof(double));
  }
  PairHeader header{.magic = {},
                    .version = kPairVersion,
                    .sources = static_cast<uint32_t>(reference.size()),
                    .bound_to = ContentHash(bound_to),
                    .content = ContentHash(body)};
  std::memcpy(header.magic, kPairMagic, sizeof(kPairMagic));
  EISBACH_ASSIGN_OR_RETURN(const auto file, AtomicFile::Create(path));
  EISBACH_RETURN_IF_ERROR(file->Write(&header, sizeof(header)));
  EISBACH_RETURN_IF_ERROR(file->Write(body));
  return file->Commit();
}

absl::StatusOr<PairReference> ReadPairReference(const std::string& path,
                                                absl::string_view bound_to) {
  EISBACH_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const auto damaged = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": damaged: ", what, "; a new run measures the reference again"));
  };
  if (file.size() < sizeof(PairHeader)) return damaged("it is too short");
  const auto header = file.Load<PairHeader>(0);
  if (std::memcmp(header.magic, kPairMagic, sizeof(kPairMagic)) != 0 ||
      header.version != kPairVersion) {
    return damaged("it is no file of pairs of version 1");
  }
  const std::span<const std::byte> body(file.data() + sizeof(PairHeader),
                                        file.size() - sizeof(PairHeader));
  if (ContentHash(body) != header.content) {
    return damaged("its bytes are not those that were written");
  }
  if (header.bound_to != ContentHash(bound_to)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        " was measured of another model, or on other pairs, than those "
        "of this run; a new run measures the reference again"));
  }
  size_t at = sizeof(PairHeader);
  const auto left = [&] { return file.size() - at; };
  if (header.sources > left() / sizeof(uint64_t)) {
    return damaged("it has no place for its sources");
  }
  PairReference reference;
  std::vector<uint64_t> rows(header.sources);
  for (uint64_t& count : rows) {
    count = file.Load<uint64_t>(at);
    at += sizeof(count);
  }
  for (const uint64_t count : rows) {
    if (count > left() / (kPairNumbers * sizeof(double))) {
      return damaged("it has no place for its rows");
    }
    std::vector<double> numbers(count * kPairNumbers);
    std::memcpy(numbers.data(), file.data() + at,
                numbers.size() * sizeof(double));
    at += numbers.size() * sizeof(double);
    for (const double number : numbers) {
      if (!std::isfinite(number)) return damaged("a number is not finite");
    }
    reference.push_back(std::move(numbers));
  }
  if (left() != 0) return damaged("more follows its last row");
  EISBACH_RETURN_IF_ERROR(file.CheckWhole());
  return reference;
}

}  // namespace eisbach::data
