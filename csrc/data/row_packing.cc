#include "data/row_packing.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"

namespace eisbach::data {
namespace {

// A set of integers in [0, size) that finds the next member in O(log64 size).
class BitTree {
 public:
  explicit BitTree(int64_t size) {
    do {
      size = (size + 63) / 64;
      levels_.emplace_back(static_cast<size_t>(size), 0);
    } while (size > 1);
  }

  void Insert(int64_t value) {
    for (auto& level : levels_) {
      level[value / 64] |= uint64_t{1} << (value % 64);
      value /= 64;
    }
  }

  void Erase(int64_t value) {
    for (auto& level : levels_) {
      level[value / 64] &= ~(uint64_t{1} << (value % 64));
      if (level[value / 64] != 0) return;
      value /= 64;
    }
  }

  // The least member that is at least `value`; -1 for none.
  int64_t AtLeast(int64_t value) const {
    size_t depth = 0;
    for (; depth < levels_.size(); ++depth) {
      const auto& level = levels_[depth];
      const int64_t word = value / 64;
      if (word >= static_cast<int64_t>(level.size())) return -1;
      const uint64_t left = level[word] >> (value % 64);
      if (left != 0) {
        value += std::countr_zero(left);
        break;
      }
      value = word + 1;
    }
    if (depth == levels_.size()) return -1;
    while (depth > 0) {
      --depth;
      value = value * 64 + std::countr_zero(levels_[depth][value]);
    }
    return value;
  }

 private:
  std::vector<std::vector<uint64_t>> levels_;
};

// Calls `visit(document, number, length)` for each piece that is trained, in
// the order of the file; returns how many documents were longer than a row.
template <typename Visit>
int64_t ForEachPiece(const TokenFile& file, int64_t context, Visit visit) {
  int64_t split = 0;
  for (int64_t d = 0; d < file.documents(); ++d) {
    const int64_t predictions = file.DocumentLength(d) - 1;
    split += predictions > context;
    for (int64_t begin = 0; begin < predictions; begin += context) {
      const int64_t length = std::min(context, predictions - begin);
      // The target of input t is token t + 1.
      if (!file.AnyTrained(d, begin + 1, length)) continue;
      visit(d, static_cast<int32_t>(begin / context),
            static_cast<int32_t>(length));
    }
  }
  return split;
}

}  // namespace

// A counting sort: those of one length stay in the order of the file.
std::vector<RowPacking::Piece> RowPacking::LongestFirst() {
  std::vector<int64_t> next(context_ + 1, 0);  // by length: where it goes
  split_ =
      ForEachPiece(*file_, context_,
                   [&](int64_t, int32_t, int32_t length) { ++next[length]; });
  int64_t count = 0;
  for (int64_t length = context_; length >= 0; --length) {
    count += std::exchange(next[length], count);
  }
  std::vector<Piece> sorted(count);
  ForEachPiece(*file_, context_,
               [&](int64_t document, int32_t number, int32_t length) {
                 // A file that grows while it is read is found by CheckWhole.
                 const int64_t at = next[length]++;
                 if (at < count) sorted[at] = {document, number, length};
               });
  return sorted;
}

void PadRow(size_t at, absl::Span<int32_t> tokens, absl::Span<int32_t> targets,
            absl::Span<int32_t> starts) {
  for (; at < tokens.size(); ++at) {
    tokens[at] = 0;
    targets[at] = -1;
    starts[at] = static_cast<int32_t>(at);
  }
}

absl::StatusOr<RowPacking> RowPacking::Make(const TokenFile& file,
                                            int64_t context) {
  EISBACH_CHECK(context >= 1 && context < int64_t{1} << 31);
  RowPacking packing(file, context);
  const std::vector<Piece> sorted = packing.LongestFirst();
  EISBACH_RETURN_IF_ERROR(file.CheckWhole());
  if (sorted.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.prefix(), " has no token to train: none of its ", file.documents(),
        " documents has a trained token after its first"));
  }
  std::vector<int64_t> row_of(sorted.size());
  // Rows by the room that is left in them, those with none left out.
  std::vector<std::vector<int64_t>> rows_with(context);
  BitTree rooms(context);
  int64_t rows = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const int64_t length = sorted[i].length;
    int64_t room = length < context ? rooms.AtLeast(length) : -1;
    int64_t row = rows;
    if (room < 0) {
      room = context;
      ++rows;
    } else {
      row = rows_with[room].back();
      rows_with[room].pop_back();
      if (rows_with[room].empty()) rooms.Erase(room);
    }
    row_of[i] = row;
    packing.predictions_ += length;
    room -= length;
    if (room == 0) continue;
    if (rows_with[room].empty()) rooms.Insert(room);
    rows_with[room].push_back(row);
  }
  std::vector<int64_t>& begins = packing.begins_;
  begins.assign(rows + 1, 0);
  for (const int64_t row : row_of) ++begins[row];
  int64_t end = 0;
  for (int64_t& begin : begins) end += std::exchange(begin, end);
  packing.pieces_.resize(sorted.size());
  for (size_t i = 0; i < sorted.size(); ++i) {
    packing.pieces_[begins[row_of[i]]++] = sorted[i];
  }
  // Each has come to where the next begins.
  for (int64_t row = rows; row > 0; --row) begins[row] = begins[row - 1];
  begins[0] = 0;
  return packing;
}

absl::Status RowPacking::Read(int64_t row, int64_t vocab,
                              absl::Span<int32_t> tokens,
                              absl::Span<int32_t> targets,
                              absl::Span<int32_t> starts) const {
  std::vector<int32_t> read(context_ + 1);
  std::vector<uint8_t> mask(context_ + 1);
  int64_t at = 0;
  for (int64_t i = begins_[row]; i < begins_[row + 1]; ++i) {
    const Piece& piece = pieces_[i];
    const int64_t begin = int64_t{piece.number} * context_;
    const size_t count = static_cast<size_t>(piece.length) + 1;
    EISBACH_RETURN_IF_ERROR(file_->Read(
        piece.document, begin, vocab, absl::MakeSpan(read).subspan(0, count)));
    EISBACH_RETURN_IF_ERROR(file_->ReadMask(
        piece.document, begin, absl::MakeSpan(mask).subspan(0, count)));
    const int64_t start = at;
    for (int32_t t = 0; t < piece.length; ++t, ++at) {
      tokens[at] = read[t];
      targets[at] = mask[t + 1] != 0 ? read[t + 1] : -1;
      starts[at] = static_cast<int32_t>(start);
    }
  }
  PadRow(static_cast<size_t>(at), tokens, targets, starts);
  return absl::OkStatus();
}

}  // namespace eisbach::data
