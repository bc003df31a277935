#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/mapped_file.h"
#include "data/token_type.h"

namespace eisbach::data {

// Documents of token ids in a pair of memory-mapped files, prefix.bin (the
// tokens) and prefix.idx (where documents begin), in the format that Megatron's
// indexed dataset reads and writes, little-endian:
//
//   .idx   9 bytes  "MMIDIDX" 0 0
//          u64      version, 1
//          u8       token type code (token_type.h)
//          u64      sequences
//          u64      document bounds (documents + 1)
//          i32[]    length in tokens of each sequence
//          i64[]    offset in bytes of each sequence in .bin
//          i64[]    document bounds: document d is sequences
//                   [bounds[d], bounds[d + 1])
//   .bin   the tokens
//
// Beside them there may be prefix.mask, a format of our own, which says of each
// token whether its prediction is trained:
//
//   .mask  8 bytes  "EISMASK" 0
//          u32      version, 1
//          u32      0
//          u8[]     of each token of .bin: 1 trained, 0 not
//
// Without it all tokens are trained. Open checks everything that later reads
// rely on, so that a damaged file is an error and never a crash. Thread-safe.
class TokenFile {
 public:
  // `prefix` is the path without ".bin" and ".idx". Errors name the file, what
  // is wrong, and the value. Reads a mask once through, of tokens nothing.
  static absl::StatusOr<TokenFile> Open(absl::string_view prefix);

  const std::string& prefix() const { return prefix_; }
  TokenType type() const { return type_; }
  int64_t documents() const { return bounds_count_ - 1; }
  int64_t tokens() const { return tokens_; }  // of all documents
  bool masked() const { return mask_.has_value(); }
  int64_t trained() const { return trained_; }  // tokens; all without a mask

  // `document` is in [0, documents()).
  int64_t DocumentLength(int64_t document) const;

  // Copies tokens [begin, begin + out.size()) of a document, which has them.
  // OutOfRange when an id is not in [0, vocab): names file, document, position,
  // id and vocab.
  absl::Status Read(int64_t document, int64_t begin, int64_t vocab,
                    absl::Span<int32_t> out) const;

  // Copies the mask of tokens [begin, begin + out.size()) of a document: 1 for
  // those that are trained.
  absl::Status ReadMask(int64_t document, int64_t begin,
                        absl::Span<uint8_t> out) const;

  // Whether one of the tokens [begin, begin + count) of a document is trained.
  bool AnyTrained(int64_t document, int64_t begin, int64_t count) const;

  // OutOfRange when a file of these has another size than when it was
  // opened: what was read from it may be zeros.
  absl::Status CheckWhole() const;

  // What a read gives when `document` does not lie where it did at Open.
  absl::Status ChangedError(int64_t document) const;

  // Reads every token once and checks it against `vocab`.
  absl::Status CheckVocab(int64_t vocab) const;

 private:
  TokenFile(std::string prefix, MappedFile index, MappedFile tokens)
      : prefix_(std::move(prefix)),
        index_(std::move(index)),
        data_(std::move(tokens)) {}

  absl::Status ReadHeader();
  absl::Status CheckSequences() const;
  absl::Status CheckBounds();
  absl::Status OpenMask();

  int64_t SequenceLength(int64_t sequence) const;
  int64_t SequenceOffset(int64_t sequence) const;
  int64_t Bound(int64_t i) const;
  int64_t DocumentOffset(int64_t document) const;  // bytes in .bin
  // Of tokens [begin, begin + count) of a document; null when they do not lie
  // in the mask.
  const std::byte* MaskOf(int64_t document, int64_t begin, int64_t count) const;

  absl::Status IndexError(absl::string_view what) const;

  std::string prefix_;
  MappedFile index_;
  MappedFile data_;
  std::optional<MappedFile> mask_;
  TokenType type_{};
  int64_t sequences_ = 0;
  int64_t bounds_count_ = 0;
  int64_t tokens_ = 0;
  int64_t trained_ = 0;
};

}  // namespace eisbach::data
