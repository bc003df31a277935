#include "data/token_file_writer.h"

#include <algorithm>
#include <cstdio>
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
    std::optional<int32_t> end_of_document, int64_t longest_sequence,
    bool masked) {
  std::unique_ptr<TokenFileWriter> writer(new TokenFileWriter(
      std::string(prefix), type, end_of_document, longest_sequence));
  if (end_of_document) {
    EISBACH_RETURN_IF_ERROR(Annotate(writer->CheckFits(*end_of_document, 0),
                                     "end-of-document token"));
  }
  EISBACH_ASSIGN_OR_RETURN(writer->data_,
                           AtomicFile::Create(absl::StrCat(prefix, ".bin")));
  if (!masked) return writer;
  EISBACH_ASSIGN_OR_RETURN(writer->mask_,
                           AtomicFile::Create(absl::StrCat(prefix, ".mask")));
  EISBACH_RETURN_IF_ERROR(
      writer->mask_->Write(absl::string_view(kMaskMagic, sizeof(kMaskMagic))));
  EISBACH_RETURN_IF_ERROR(Put<uint32_t>(*writer->mask_, kMaskVersion));
  EISBACH_RETURN_IF_ERROR(Put<uint32_t>(*writer->mask_, 0));
  return writer;
}

absl::Status TokenFileWriter::CheckMask(absl::Span<const int32_t> tokens,
                                        absl::Span<const uint8_t> mask) const {
  if (mask.empty()) return absl::OkStatus();
  const auto wrong = [this](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(prefix_, ": ", what...));
  };
  if (mask_ == nullptr) {
    return wrong("no mask is written beside these tokens");
  }
  if (mask.size() != tokens.size()) {
    return wrong("a mask of ", mask.size(), " values for ", tokens.size(),
                 " tokens; each token has its own");
  }
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] <= 1) continue;
    return wrong("mask ", mask[i], " of the token at position ",
                 document_tokens_ + static_cast<int64_t>(i), " of document ",
                 documents(), " is neither 1 (trained) nor 0");
  }
  return absl::OkStatus();
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

absl::Status TokenFileWriter::Write(absl::Span<const int32_t> tokens,
                                    absl::Span<const uint8_t> mask) {
  encoded_.clear();
  encoded_.reserve(tokens.size() * SizeOf(type_));
  DispatchTokenType(type_, [&](auto zero) {
    for (int32_t token : tokens) {
      const auto stored = static_cast<decltype(zero)>(token);
      encoded_.append(reinterpret_cast<const char*>(&stored), sizeof(stored));
    }
  });
  EISBACH_RETURN_IF_ERROR(data_->Write(encoded_));
  if (mask_ != nullptr) {
    encoded_.assign(tokens.size(), 1);
    std::copy(mask.begin(), mask.end(), encoded_.begin());
    EISBACH_RETURN_IF_ERROR(mask_->Write(encoded_));
  }
  document_tokens_ += static_cast<int64_t>(tokens.size());
  while (!tokens.empty()) {
    if (sequence_tokens_ == longest_sequence_) {
      lengths_.push_back(static_cast<int32_t>(sequence_tokens_));
      sequence_tokens_ = 0;
    }
    const int64_t taken =
        std::min<int64_t>(static_cast<int64_t>(tokens.size()),
                          longest_sequence_ - sequence_tokens_);
    sequence_tokens_ += taken;
    tokens.remove_prefix(static_cast<size_t>(taken));
  }
  return absl::OkStatus();
}

absl::Status TokenFileWriter::CheckOpen() const {
  if (!finished_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(prefix_, ": the file is closed, and takes no more tokens"));
}

absl::Status TokenFileWriter::Append(absl::Span<const int32_t> tokens,
                                     absl::Span<const uint8_t> mask) {
  EISBACH_RETURN_IF_ERROR(CheckOpen());
  for (size_t i = 0; i < tokens.size(); ++i) {
    EISBACH_RETURN_IF_ERROR(
        CheckFits(tokens[i], document_tokens_ + static_cast<int64_t>(i)));
  }
  EISBACH_RETURN_IF_ERROR(CheckMask(tokens, mask));
  return Write(tokens, mask);
}

absl::Status TokenFileWriter::EndDocument() {
  EISBACH_RETURN_IF_ERROR(CheckOpen());
  if (end_of_document_) {
    EISBACH_RETURN_IF_ERROR(
        Write(absl::MakeConstSpan(&*end_of_document_, 1), {}));
  }
  lengths_.push_back(static_cast<int32_t>(sequence_tokens_));
  bounds_.push_back(static_cast<int64_t>(lengths_.size()));
  tokens_ += document_tokens_;
  document_tokens_ = 0;
  sequence_tokens_ = 0;
  return absl::OkStatus();
}

absl::Status TokenFileWriter::AddDocument(absl::Span<const int32_t> tokens,
                                          absl::Span<const uint8_t> mask) {
  EISBACH_RETURN_IF_ERROR(Append(tokens, mask));
  return EndDocument();
}

absl::Status TokenFileWriter::Finish() {
  EISBACH_RETURN_IF_ERROR(CheckOpen());
  if (document_tokens_ > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(prefix_, ": document ", documents(), " has not ended"));
  }
  const std::string index_path = absl::StrCat(prefix_, ".idx");
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> index,
                           AtomicFile::Create(index_path));
  EISBACH_RETURN_IF_ERROR(
      index->Write(absl::string_view(kMagic, sizeof(kMagic))));
  EISBACH_RETURN_IF_ERROR(Put<uint64_t>(*index, kVersion));
  EISBACH_RETURN_IF_ERROR(Put<uint8_t>(*index, static_cast<uint8_t>(type_)));
  EISBACH_RETURN_IF_ERROR(Put<uint64_t>(*index, lengths_.size()));
  EISBACH_RETURN_IF_ERROR(Put<uint64_t>(*index, bounds_.size()));
  EISBACH_RETURN_IF_ERROR(
      index->Write(lengths_.data(), lengths_.size() * sizeof(int32_t)));
  int64_t offset = 0;
  for (int32_t length : lengths_) {
    EISBACH_RETURN_IF_ERROR(Put<int64_t>(*index, offset));
    offset += int64_t{length} * static_cast<int64_t>(SizeOf(type_));
  }
  EISBACH_RETURN_IF_ERROR(
      index->Write(bounds_.data(), bounds_.size() * sizeof(int64_t)));
  // An index or a mask that stood here described other tokens.
  std::remove(index_path.c_str());
  std::remove(absl::StrCat(prefix_, ".mask").c_str());
  finished_ = true;
  EISBACH_RETURN_IF_ERROR(data_->Commit());
  if (mask_ != nullptr) EISBACH_RETURN_IF_ERROR(mask_->Commit());
  return index->Commit();
}

}  // namespace eisbach::data
