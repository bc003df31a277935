#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "data/token_file.h"

namespace eisbach::data {

// Ends a row whose last document ends before `at`: tokens are 0, targets -1,
// and each token is its own document.
void PadRow(size_t at, absl::Span<int32_t> tokens, absl::Span<int32_t> targets,
            absl::Span<int32_t> starts);

// The documents of a file packed into rows of `context` predictions, each row
// whole documents but for those that are longer than a row.
//
// A document of n tokens has n - 1 predictions: tokens [0, n - 1) are inputs,
// each with the one after it as target. One with more than `context` of them is
// cut into pieces of `context` and a last one of what is left; the target of a
// piece's last input is the first input of the next. Pieces of which nothing is
// trained are left out. The others are packed by best-fit decreasing: the
// longest first, each into the fullest row that still has room for it (Johnson
// et al. 1974, "Worst-case performance bounds for simple one-dimensional
// packing algorithms"). A pure function of the file and `context`.
//
// O(pieces x log64 context) at Make. 16 bytes of memory a piece and 8 a row, at
// Make 40 a piece: 5 x 10^8 documents are 8 GB, at most 20 GB.
class RowPacking {
 public:
  struct Piece {
    int64_t document;
    int32_t number;  // which piece of the document
    int32_t length;  // predictions, at least 1
  };

  // `file` must outlive the packing; `context` is in [1, 2^31). InvalidArgument
  // where no token is trained that has one before it.
  static absl::StatusOr<RowPacking> Make(const TokenFile& file,
                                         int64_t context);

  int64_t rows() const { return static_cast<int64_t>(begins_.size()) - 1; }
  int64_t predictions() const { return predictions_; }  // in all rows
  // Documents that did not fit a row.
  int64_t split_documents() const { return split_; }

  // Writes inputs, targets and document starts of a row, `context` of each:
  // the target of what is not trained is -1, and `starts` has the place in the
  // row at which the piece of each token begins. After the last piece tokens
  // are 0, targets -1, and each token is its own document. Errors as
  // TokenFile::Read.
  absl::Status Read(int64_t row, int64_t vocab, absl::Span<int32_t> tokens,
                    absl::Span<int32_t> targets,
                    absl::Span<int32_t> starts) const;

 private:
  RowPacking(const TokenFile& file, int64_t context)
      : file_(&file), context_(context) {}

  std::vector<Piece> LongestFirst();

  const TokenFile* file_;
  int64_t context_;
  std::vector<Piece> pieces_;    // row after row
  std::vector<int64_t> begins_;  // of rows in pieces_; then their end
  int64_t predictions_ = 0;
  int64_t split_ = 0;
};

}  // namespace eisbach::data
