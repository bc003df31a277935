#include "data/document_order.h"

#include <algorithm>

#include "core/status_macros.h"
#include "data/permutation.h"

namespace eisbach::data {

DocumentOrder::DocumentOrder(const TokenFile& file, uint64_t key)
    : file_(file) {
  const int64_t count = file.documents();
  if (count == 0) return;
  documents_.reserve(count);
  starts_.reserve(count + 1);
  const Permutation shuffled(count, key);
  int64_t start = 0;
  for (int64_t i = 0; i < count; ++i) {
    documents_.push_back(shuffled(i));
    starts_.push_back(start);
    start += file.DocumentLength(documents_.back());
  }
  starts_.push_back(start);
}

absl::Status DocumentOrder::Read(int64_t begin, int64_t vocab,
                                 absl::Span<int32_t> out,
                                 absl::Span<uint8_t> mask) const {
  // The last document that starts at or before `begin` holds it: empty ones
  // start where the next does.
  size_t i = std::upper_bound(starts_.begin(), starts_.end() - 1, begin) -
             starts_.begin() - 1;
  int64_t position = begin - starts_[i];
  for (size_t done = 0; done < out.size(); ++i, position = 0) {
    if (i == documents_.size()) return file_.ChangedError(documents_.back());
    const int64_t left = starts_[i + 1] - starts_[i] - position;
    const size_t count = std::min(static_cast<size_t>(left), out.size() - done);
    EISBACH_RETURN_IF_ERROR(
        file_.Read(documents_[i], position, vocab, out.subspan(done, count)));
    EISBACH_RETURN_IF_ERROR(
        file_.ReadMask(documents_[i], position, mask.subspan(done, count)));
    done += count;
  }
  return absl::OkStatus();
}

}  // namespace eisbach::data
