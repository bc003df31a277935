#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/token_file.h"

namespace eisbach::data {

// Pairs of answers as rows of `context` predictions: documents 2k and 2k + 1 of
// a file are a prompt with the answer that was preferred and the same prompt
// with the other one. A pair is a row, in which neither sees the other, and
// that a step therefore has whole, whatever the layout.
//
// Pairs that do not fit a row are left out, and so are those of which one
// answer has no trained token. A pure function of the file and `context`. 8
// bytes of memory a pair.
class PairRows {
 public:
  // `file` must outlive the rows; `context` is in [1, 2^31). InvalidArgument
  // where documents are no pairs, or no pair is left.
  static absl::StatusOr<PairRows> Make(const TokenFile& file, int64_t context);

  int64_t rows() const { return static_cast<int64_t>(pairs_.size()); }
  int64_t too_long() const { return too_long_; }    // pairs left out
  int64_t untrained() const { return untrained_; }  // pairs left out

  // Writes a row as RowPacking::Read does: the preferred answer's document
  // begins at 0, the other one behind it.
  absl::Status Read(int64_t row, int64_t vocab, absl::Span<int32_t> tokens,
                    absl::Span<int32_t> targets,
                    absl::Span<int32_t> starts) const;

 private:
  PairRows(const TokenFile& file, int64_t context)
      : file_(&file), context_(context) {}

  const TokenFile* file_;
  int64_t context_;
  std::vector<int64_t> pairs_;  // by row: which of the file
  int64_t too_long_ = 0;
  int64_t untrained_ = 0;
};

}  // namespace eisbach::data
