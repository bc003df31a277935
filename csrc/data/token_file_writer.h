#pragma once

#include <cstdint>
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

// Writes a pair of files that TokenFile (and Megatron's tools) read: one
// sequence a document. Nothing appears under the final names before Finish;
// the index comes last, so a pair with an index is complete.
class TokenFileWriter {
 public:
  // `end_of_document`, where given, is appended to each document.
  // InvalidArgument when it does not fit `type`.
  static absl::StatusOr<std::unique_ptr<TokenFileWriter>> Create(
      absl::string_view prefix, TokenType type,
      std::optional<int32_t> end_of_document);

  int64_t documents() const { return static_cast<int64_t>(lengths_.size()); }
  int64_t tokens() const { return tokens_; }

  // OutOfRange when an id is negative or does not fit the token type;
  // InvalidArgument when the document has 2^31 tokens or more. The document is
  // then left out.
  absl::Status AddDocument(absl::Span<const int32_t> tokens);

  // Writes the index and makes both files durable. At most once.
  absl::Status Finish();

 private:
  TokenFileWriter(std::string prefix, TokenType type,
                  std::optional<int32_t> end_of_document)
      : prefix_(std::move(prefix)),
        type_(type),
        end_of_document_(end_of_document) {}

  absl::Status CheckFits(int32_t token, int64_t position) const;

  const std::string prefix_;
  const TokenType type_;
  const std::optional<int32_t> end_of_document_;
  std::unique_ptr<AtomicFile> data_;
  std::vector<int32_t> lengths_;
  int64_t tokens_ = 0;
  std::string encoded_;  // the document at hand
};

}  // namespace eisbach::data
