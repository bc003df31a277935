#include "data/token_file_writer.h"

#include <cstdio>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "data/token_format.h"

namespace eisbach::data {
namespace {

template <typename T>
absl::Status Put(AtomicFile& file, T value) {
  return file.Write(&value, sizeof(value));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenFileWriter>> TokenFileWriter::Create(
    absl::string_view prefix, TokenType type,
    std::optional<int32_t> end_of_document) {
  std::unique_ptr<TokenFileWriter> writer(
      new TokenFileWriter(std::string(prefix), type, end_of_document));
  if (end_of_document) {
    EISBACH_RETURN_IF_ERROR(Annotate(writer->CheckFits(*end_of_document, 0),
                                     "end-of-document token"));
  }
  EISBACH_ASSIGN_OR_RETURN(writer->data_,
                           AtomicFile::Create(absl::StrCat(prefix, ".bin")));
  return writer;
}

absl::Status TokenFileWriter::CheckFits(int32_t token, int64_t position) const {
  return DispatchTokenType(type_, [&](auto zero) -> absl::Status {
    using Token = decltype(zero);
    if (token >= 0 &&
        static_cast<int64_t>(token) <=
            static_cast<int64_t>(std::numeric_limits<Token>::max())) {
      return absl::OkStatus();
    }
    return absl::OutOfRangeError(absl::StrCat(
        prefix_, ": token ", token, " at position ", position, " of document ",
        documents(), " does not fit ", Name(type_)));
  });
}

absl::Status TokenFileWriter::AddDocument(absl::Span<const int32_t> tokens) {
  const size_t length = tokens.size() + (end_of_document_ ? 1 : 0);
  if (length > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat(prefix_, ": document ", documents(), " has ", length,
                     " tokens; the format holds at most 2147483647"));
  }
  encoded_.clear();
  encoded_.reserve(length * SizeOf(type_));
  const auto append = [this](int32_t token) {
    DispatchTokenType(type_, [&](auto zero) {
      const auto stored = static_cast<decltype(zero)>(token);
      encoded_.append(reinterpret_cast<const char*>(&stored), sizeof(stored));
    });
  };
  for (size_t i = 0; i < tokens.size(); ++i) {
    EISBACH_RETURN_IF_ERROR(CheckFits(tokens[i], static_cast<int64_t>(i)));
    append(tokens[i]);
  }
  if (end_of_document_) append(*end_of_document_);
  EISBACH_RETURN_IF_ERROR(data_->Write(encoded_));
  lengths_.push_back(static_cast<int32_t>(length));
  tokens_ += static_cast<int64_t>(length);
  return absl::OkStatus();
}

absl::Status TokenFileWriter::Finish() {
  const std::string index_path = absl::StrCat(prefix_, ".idx");
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> index,
                           AtomicFile::Create(index_path));
  EISBACH_RETURN_IF_ERROR(
      index->Write(absl::string_view(kMagic, sizeof(kMagic))));
  EISBACH_RETURN_IF_ERROR(Put<uint64_t>(*index, kVersion));
  EISBACH_RETURN_IF_ERROR(Put<uint8_t>(*index, static_cast<uint8_t>(type_)));
  EISBACH_RETURN_IF_ERROR(Put<uint64_t>(*index, lengths_.size()));
  EISBACH_RETURN_IF_ERROR(Put<uint64_t>(*index, lengths_.size() + 1));
  EISBACH_RETURN_IF_ERROR(
      index->Write(lengths_.data(), lengths_.size() * sizeof(int32_t)));
  int64_t offset = 0;
  for (int32_t length : lengths_) {
    EISBACH_RETURN_IF_ERROR(Put<int64_t>(*index, offset));
    offset += int64_t{length} * static_cast<int64_t>(SizeOf(type_));
  }
  for (size_t i = 0; i <= lengths_.size(); ++i) {
    EISBACH_RETURN_IF_ERROR(Put<int64_t>(*index, static_cast<int64_t>(i)));
  }
  // An index that stood here described other tokens.
  std::remove(index_path.c_str());
  EISBACH_RETURN_IF_ERROR(data_->Commit());
  return index->Commit();
}

}  // namespace eisbach::data
