#include "data/content.h"

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/atomic_file.h"
#include "core/block_reader.h"
#include "core/content_hash.h"
#include "core/hash.h"
#include "core/make_folder.h"
#include "core/regular_file.h"
#include "core/status_macros.h"

namespace eisbach::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPieceBytes = size_t{4} << 20;
constexpr absl::Duration kRest = absl::Seconds(2);
constexpr size_t kMostMemoryBytes = 64 << 10;  // a path and some numbers

// All of a file's state that changes with its content.
std::string StateOf(const struct stat& info) {
  return absl::StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ",
                      absl::ToUnixNanos(absl::TimeFromTimespec(info.st_mtim)),
                      " ",
                      absl::ToUnixNanos(absl::TimeFromTimespec(info.st_ctim)));
}

absl::StatusOr<uint64_t> HashOf(const RegularFile& file) {
  const std::vector<ByteRange> pieces = CutBytes(file.size(), kPieceBytes);
  std::vector<uint64_t> hashes(pieces.size());
  BlockReader reader(file, pieces,
                     [&](size_t i, std::span<const std::byte> piece) {
                       hashes[i] = ContentHash(piece);
                     });
  for (size_t i = 0; i < pieces.size(); ++i) {
    EISBACH_RETURN_IF_ERROR(reader.Next().status());
  }
  return ContentHash(std::as_bytes(std::span(hashes)));
}

// Where the memory of a path lies. Its first line is the path, the second the
// state of the file, the third its hash.
std::string MemoryOf(absl::string_view path, const std::string& cache) {
  return absl::StrCat(cache, "/", HashText(StableHash(path)), ".content");
}

std::optional<uint64_t> Remembered(const std::string& memory,
                                   absl::string_view path,
                                   absl::string_view state) {
  const auto text = ReadWholeFile(memory, kMostMemoryBytes);
  if (!text.ok()) return std::nullopt;
  const std::vector<absl::string_view> lines = absl::StrSplit(*text, '\n');
  uint64_t hash = 0;
  if (lines.size() != 4 || lines[0] != path || lines[1] != state ||
      lines[2].size() != 16 || !absl::SimpleHexAtoi(lines[2], &hash)) {
    return std::nullopt;
  }
  return hash;
}

}  // namespace

absl::StatusOr<FileContent> ReadContent(absl::string_view path,
                                        const std::string& cache) {
  EISBACH_ASSIGN_OR_RETURN(const RegularFile file, RegularFile::Open(path));
  std::error_code error;
  const std::string real = fs::canonical(file.path(), error).string();
  // A name with a line break has no memory.
  const bool remembers =
      !cache.empty() && !error && real.find('\n') == std::string::npos;
  const std::string memory = MemoryOf(real, cache);
  const std::string state = StateOf(file.info());
  if (remembers) {
    if (const auto hash = Remembered(memory, real, state)) {
      return FileContent{file.size(), *hash};
    }
  }
  const absl::Time start = absl::Now();
  EISBACH_ASSIGN_OR_RETURN(const uint64_t hash, HashOf(file));
  struct stat now;
  if (fstat(file.fd(), &now) != 0 || StateOf(now) != state) {
    return absl::AbortedError(
        absl::StrCat(path, " was changed while it was read"));
  }
  if (remembers &&
      start - absl::TimeFromTimespec(file.info().st_mtim) >= kRest) {
    MakeFolders(cache).IgnoreError();
    WriteFileAtomically(
        memory, absl::StrCat(real, "\n", state, "\n", HashText(hash), "\n"))
        .IgnoreError();
  }
  return FileContent{file.size(), hash};
}

}  // namespace eisbach::data
