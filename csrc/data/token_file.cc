#include "data/token_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "data/token_format.h"

namespace eisbach::data {

static_assert(std::endian::native == std::endian::little,
              "token files are read without byte swaps");

absl::Status TokenFile::IndexError(absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(index_.path(), ": ", what));
}

absl::StatusOr<TokenFile> TokenFile::Open(absl::string_view prefix) {
  EISBACH_ASSIGN_OR_RETURN(MappedFile index,
                           MappedFile::Open(absl::StrCat(prefix, ".idx")));
  EISBACH_ASSIGN_OR_RETURN(MappedFile tokens,
                           MappedFile::Open(absl::StrCat(prefix, ".bin")));
  TokenFile file(std::string(prefix), std::move(index), std::move(tokens));
  EISBACH_RETURN_IF_ERROR(file.ReadHeader());
  EISBACH_RETURN_IF_ERROR(file.CheckSequences());
  EISBACH_RETURN_IF_ERROR(file.CheckBounds());
  EISBACH_RETURN_IF_ERROR(file.OpenMask());
  return file;
}

absl::Status TokenFile::OpenMask() {
  trained_ = tokens_;
  const std::string path = absl::StrCat(prefix_, ".mask");
  absl::StatusOr<MappedFile> mask = MappedFile::Open(path);
  if (absl::IsNotFound(mask.status())) {
    // A link to nowhere is a mask that went, not a file without one.
    std::error_code error;
    if (!std::filesystem::is_symlink(path, error)) return absl::OkStatus();
  }
  EISBACH_RETURN_IF_ERROR(mask.status());
  const auto wrong = [&path](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what...));
  };
  if (mask->size() < kMaskHeaderBytes) {
    return wrong("has ", mask->size(), " bytes, a header has ",
                 kMaskHeaderBytes);
  }
  const absl::string_view magic(reinterpret_cast<const char*>(mask->data()),
                                sizeof(kMaskMagic));
  if (magic != absl::string_view(kMaskMagic, sizeof(kMaskMagic))) {
    return wrong("begins with \"", absl::CHexEscape(magic),
                 "\", not with \"EISMASK\\0\": no mask of tokens");
  }
  const uint32_t version = mask->Load<uint32_t>(kMaskVersionAt);
  if (version != kMaskVersion) {
    return wrong("version ", version, " is not ", kMaskVersion);
  }
  if (const auto reserved = mask->Load<uint32_t>(kMaskReservedAt)) {
    return wrong("has ", reserved, " where version 1 has 0");
  }
  const size_t size = mask->size() - kMaskHeaderBytes;
  if (size != static_cast<size_t>(tokens_)) {
    return wrong("is of ", size, " tokens, but ", data_.path(), " has ",
                 tokens_, "; the two belong together: prepare them again");
  }
  const auto* values =
      reinterpret_cast<const uint8_t*>(mask->data()) + kMaskHeaderBytes;
  uint8_t seen = 0;
  int64_t trained = 0;
  for (size_t i = 0; i < size; ++i) {
    seen |= values[i];
    trained += values[i];
  }
  if (seen > 1) {
    const auto* bad =
        std::find_if(values, values + size, [](uint8_t v) { return v > 1; });
    return wrong("has ", *bad, " for token ", bad - values,
                 "; a token is trained (1) or not (0)");
  }
  trained_ = trained;
  mask_ = *std::move(mask);
  return absl::OkStatus();
}

const std::byte* TokenFile::MaskOf(int64_t document, int64_t begin,
                                   int64_t count) const {
  const int64_t width = static_cast<int64_t>(SizeOf(type_));
  const int64_t first = DocumentOffset(document) / width + begin;
  // An index that was changed since Open may say anything.
  if (first < 0 || count < 0 || first > tokens_ - count) return nullptr;
  return mask_->data() + kMaskHeaderBytes + first;
}

absl::Status TokenFile::ReadMask(int64_t document, int64_t begin,
                                 absl::Span<uint8_t> out) const {
  if (!mask_) {
    std::fill(out.begin(), out.end(), 1);
    return absl::OkStatus();
  }
  const std::byte* from =
      MaskOf(document, begin, static_cast<int64_t>(out.size()));
  if (from == nullptr) return ChangedError(document);
  if (!out.empty()) std::memcpy(out.data(), from, out.size());
  return absl::OkStatus();
}

bool TokenFile::AnyTrained(int64_t document, int64_t begin,
                           int64_t count) const {
  if (!mask_) return count > 0;
  const std::byte* from = MaskOf(document, begin, count);
  return from != nullptr && count > 0 &&
         std::memchr(from, 1, static_cast<size_t>(count)) != nullptr;
}

absl::Status TokenFile::ReadHeader() {
  if (index_.size() < kHeaderBytes) {
    return IndexError(absl::StrCat("has ", index_.size(),
                                   " bytes, a header has ", kHeaderBytes));
  }
  const absl::string_view magic(reinterpret_cast<const char*>(index_.data()),
                                sizeof(kMagic));
  if (magic != absl::string_view(kMagic, sizeof(kMagic))) {
    return IndexError(
        absl::StrCat("begins with \"", absl::CHexEscape(magic),
                     "\", not with \"MMIDIDX\\0\\0\": no token index"));
  }
  const uint64_t version = index_.Load<uint64_t>(kVersionAt);
  if (version != kVersion) {
    return IndexError(absl::StrCat("version ", version, " is not ", kVersion));
  }
  const uint8_t code = index_.Load<uint8_t>(kTypeAt);
  const std::optional<TokenType> type = TokenTypeFromCode(code);
  if (!type) {
    return IndexError(absl::StrCat(
        "token type code ", code,
        " is none of 1 (u8), 2 (i8), 3 (i16), 4 (i32), 5 (i64), 8 (u16)"));
  }
  type_ = *type;
  const uint64_t sequences = index_.Load<uint64_t>(kSequencesAt);
  const uint64_t bounds = index_.Load<uint64_t>(kBoundsAt);
  const uint64_t left = index_.size() - kHeaderBytes;
  if (bounds < 1) return IndexError("has no document bounds, not even a first");
  if (sequences > left / kBytesPerSequence || bounds > left / kBytesPerBound ||
      sequences * kBytesPerSequence + bounds * kBytesPerBound != left) {
    return IndexError(absl::StrCat("has ", index_.size(), " bytes, but ",
                                   sequences, " sequences and ", bounds,
                                   " document bounds take another number"));
  }
  sequences_ = static_cast<int64_t>(sequences);
  bounds_count_ = static_cast<int64_t>(bounds);
  return absl::OkStatus();
}

absl::Status TokenFile::CheckSequences() const {
  const int64_t width = static_cast<int64_t>(SizeOf(type_));
  const int64_t size = static_cast<int64_t>(data_.size());
  int64_t expected = 0;
  for (int64_t s = 0; s < sequences_; ++s) {
    const int64_t length = SequenceLength(s);
    const int64_t offset = SequenceOffset(s);
    if (length < 0) {
      return IndexError(absl::StrCat("sequence ", s, " has length ", length));
    }
    if (offset != expected) {
      return IndexError(absl::StrCat("sequence ", s, " begins at byte ", offset,
                                     ", but the ones before it end at ",
                                     expected));
    }
    if (length * width > size - expected) {
      return IndexError(absl::StrCat("sequence ", s, " ends at byte ",
                                     expected + length * width, ", but ",
                                     data_.path(), " has ", size, " bytes"));
    }
    expected += length * width;
  }
  if (expected != size) {
    return IndexError(absl::StrCat("describes ", expected, " bytes, but ",
                                   data_.path(), " has ", size));
  }
  return absl::OkStatus();
}

absl::Status TokenFile::CheckBounds() {
  if (Bound(0) != 0) {
    return IndexError(absl::StrCat("the first document begins at sequence ",
                                   Bound(0), ", not 0"));
  }
  for (int64_t i = 1; i < bounds_count_; ++i) {
    if (Bound(i) < Bound(i - 1) || Bound(i) > sequences_) {
      return IndexError(absl::StrCat("document ", i - 1, " is sequences ",
                                     Bound(i - 1), " to ", Bound(i), " of ",
                                     sequences_));
    }
  }
  const int64_t last = Bound(bounds_count_ - 1);
  if (last != sequences_) {
    return IndexError(absl::StrCat("the last document ends at sequence ", last,
                                   " of ", sequences_));
  }
  tokens_ = static_cast<int64_t>(data_.size() / SizeOf(type_));
  return absl::OkStatus();
}

int64_t TokenFile::SequenceLength(int64_t sequence) const {
  return index_.Load<int32_t>(kHeaderBytes + 4 * sequence);
}

int64_t TokenFile::SequenceOffset(int64_t sequence) const {
  return index_.Load<int64_t>(kHeaderBytes + 4 * sequences_ + 8 * sequence);
}

int64_t TokenFile::Bound(int64_t i) const {
  return index_.Load<int64_t>(kHeaderBytes + 12 * sequences_ + 8 * i);
}

int64_t TokenFile::DocumentOffset(int64_t document) const {
  const int64_t sequence = Bound(document);
  if (sequence < 0 || sequence > sequences_) return -1;  // changed since Open
  return sequence == sequences_ ? static_cast<int64_t>(data_.size())
                                : SequenceOffset(sequence);
}

int64_t TokenFile::DocumentLength(int64_t document) const {
  return (DocumentOffset(document + 1) - DocumentOffset(document)) /
         static_cast<int64_t>(SizeOf(type_));
}

absl::Status TokenFile::ChangedError(int64_t document) const {
  return IndexError(absl::StrCat("document ", document,
                                 " is elsewhere than it was: the file was "
                                 "changed while it was in use"));
}

absl::Status TokenFile::Read(int64_t document, int64_t begin, int64_t vocab,
                             absl::Span<int32_t> out) const {
  if (out.empty()) return absl::OkStatus();
  const uint64_t width = SizeOf(type_);
  const uint64_t offset = static_cast<uint64_t>(DocumentOffset(document)) +
                          static_cast<uint64_t>(begin) * width;
  if (offset > data_.size() || out.size() * width > data_.size() - offset) {
    return ChangedError(document);
  }
  return DispatchTokenType(type_, [&](auto zero) -> absl::Status {
    using Token = decltype(zero);
    const std::byte* from = data_.data() + offset;
    const uint64_t limit = static_cast<uint64_t>(vocab);
    bool inside = true;
    for (size_t i = 0; i < out.size(); ++i) {
      Token token;
      std::memcpy(&token, from + i * sizeof(Token), sizeof(Token));
      inside &= static_cast<uint64_t>(static_cast<int64_t>(token)) < limit;
      out[i] = static_cast<int32_t>(token);
    }
    if (inside) return absl::OkStatus();
    for (size_t i = 0;; ++i) {
      Token token;
      std::memcpy(&token, from + i * sizeof(Token), sizeof(Token));
      const int64_t id = token;
      if (static_cast<uint64_t>(id) < limit) continue;
      return absl::OutOfRangeError(absl::StrCat(
          data_.path(), ": token ", id, " at position ",
          begin + static_cast<int64_t>(i), " of document ", document,
          " is outside the vocabulary of ", vocab,
          "; was the file made with another tokenizer? (data.tokenizer)"));
    }
  });
}

absl::Status TokenFile::CheckWhole() const {
  EISBACH_RETURN_IF_ERROR(index_.CheckWhole());
  if (mask_) EISBACH_RETURN_IF_ERROR(mask_->CheckWhole());
  return data_.CheckWhole();
}

absl::Status TokenFile::CheckVocab(int64_t vocab) const {
  constexpr int64_t kPiece = 1 << 16;
  std::vector<int32_t> piece(std::min(tokens_, kPiece));
  for (int64_t d = 0; d < documents(); ++d) {
    const int64_t length = DocumentLength(d);
    for (int64_t begin = 0; begin < length; begin += kPiece) {
      const int64_t count = std::min(kPiece, length - begin);
      EISBACH_RETURN_IF_ERROR(
          Read(d, begin, vocab,
               absl::MakeSpan(piece).subspan(0, static_cast<size_t>(count))));
    }
  }
  return CheckWhole();
}

}  // namespace eisbach::data
