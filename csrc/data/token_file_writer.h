#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/atomic_file.h"
#include "data/token_type.h"

namespace eisbach::data {

// Writes a pair of files that TokenFile (and Megatron's tools) read. A document
// is one sequence, or several where it is longer than a sequence may be.
// Nothing appears under the final names before Finish; the index comes last, so
// a pair with an index is complete. A mask is written with the pair where one
// is wanted; else one that stood there goes, as it was of other tokens.
class TokenFileWriter {
 public:
  // `end_of_document`, where given, is appended to each document.
  // InvalidArgument when it does not fit `type`. The format holds sequences of
  // less than 2^31 tokens. `masked`: a .mask is written as well.
  static absl::StatusOr<std::unique_ptr<TokenFileWriter>> Create(
      absl::string_view prefix, TokenType type,
      std::optional<int32_t> end_of_document,
      int64_t longest_sequence = std::numeric_limits<int32_t>::max(),
      bool masked = false);

  // Of documents that have ended.
  int64_t documents() const { return static_cast<int64_t>(bounds_.size()) - 1; }
  int64_t tokens() const { return tokens_; }

  // Adds tokens to the document at hand. OutOfRange when an id is negative or
  // does not fit the token type: all of them are then left out.
  // `mask`: of each token 1 if it is trained, else 0; empty: all are, as the
  // end of a document is. InvalidArgument when it is of another length, holds
  // another value, or is given where no mask is written.
  absl::Status Append(absl::Span<const int32_t> tokens,
                      absl::Span<const uint8_t> mask = {});

  // Ends the document at hand; it may be empty.
  absl::Status EndDocument();

  // Append and EndDocument; what Append refuses leaves the document out.
  absl::Status AddDocument(absl::Span<const int32_t> tokens,
                           absl::Span<const uint8_t> mask = {});

  // Writes the index and makes all files durable. At most once.
  // FailedPrecondition when a document has not ended.
  absl::Status Finish();

 private:
  TokenFileWriter(std::string prefix, TokenType type,
                  std::optional<int32_t> end_of_document,
                  int64_t longest_sequence)
      : prefix_(std::move(prefix)),
        type_(type),
        end_of_document_(end_of_document),
        longest_sequence_(longest_sequence) {}

  absl::Status CheckOpen() const;
  absl::Status CheckFits(int32_t token, int64_t position) const;
  absl::Status CheckMask(absl::Span<const int32_t> tokens,
                         absl::Span<const uint8_t> mask) const;
  absl::Status Write(absl::Span<const int32_t> tokens,
                     absl::Span<const uint8_t> mask);

  const std::string prefix_;
  const TokenType type_;
  const std::optional<int32_t> end_of_document_;
  const int64_t longest_sequence_;
  std::unique_ptr<AtomicFile> data_;
  std::unique_ptr<AtomicFile> mask_;  // null: none is written
  std::vector<int32_t> lengths_;      // of sequences
  std::vector<int64_t> bounds_{0};  // document d is sequences [d, d + 1) of it
  int64_t tokens_ = 0;              // of documents that have ended
  bool finished_ = false;
  int64_t document_tokens_ = 0;  // of the one at hand
  int64_t sequence_tokens_ = 0;  // of its last sequence
  std::string encoded_;
};

}  // namespace eisbach::data
