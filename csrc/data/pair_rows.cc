#include "data/pair_rows.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "data/row_packing.h"

namespace eisbach::data {

absl::StatusOr<PairRows> PairRows::Make(const TokenFile& file,
                                        int64_t context) {
  EISBACH_CHECK(context >= 1 && context < int64_t{1} << 31);
  if (!file.masked() || file.documents() % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.prefix(), " holds no pairs of answers: it has ", file.documents(),
        " documents ", file.masked() ? "with" : "without",
        " a mask; prepare it from records with `chosen` and `rejected` "
        "(data.train, train.objective)"));
  }
  PairRows rows(file, context);
  int64_t longest = 0;
  for (int64_t pair = 0; pair < file.documents() / 2; ++pair) {
    int64_t length = 0;
    bool trained = true;
    for (int64_t d = 2 * pair; d < 2 * pair + 2; ++d) {
      const int64_t predictions =
          std::max<int64_t>(0, file.DocumentLength(d) - 1);
      length += predictions;
      trained &= predictions > 0 && file.AnyTrained(d, 1, predictions);
    }
    longest = std::max(longest, length);
    if (!trained) {
      ++rows.untrained_;
    } else if (length > context) {
      ++rows.too_long_;
    } else {
      rows.pairs_.push_back(pair);
    }
  }
  EISBACH_RETURN_IF_ERROR(file.CheckWhole());
  if (!rows.pairs_.empty()) return rows;
  return absl::InvalidArgumentError(absl::StrCat(
      file.prefix(), " has no pair to train: ", rows.too_long_,
      " are longer, both answers together, than model.context=", context, ", ",
      rows.untrained_, " have an answer of which nothing is trained",
      rows.too_long_ == 0
          ? ""
          : absl::StrCat("; nearest that works for all: model.context=",
                         longest)));
}

absl::Status PairRows::Read(int64_t row, int64_t vocab,
                            absl::Span<int32_t> tokens,
                            absl::Span<int32_t> targets,
                            absl::Span<int32_t> starts) const {
  size_t at = 0;
  for (int64_t d = 2 * pairs_[row]; d < 2 * pairs_[row] + 2; ++d) {
    const size_t count = static_cast<size_t>(file_->DocumentLength(d));
    if (count == 0 || at + count - 1 > static_cast<size_t>(context_)) {
      return file_->ChangedError(d);
    }
    std::vector<int32_t> read(count);
    std::vector<uint8_t> mask(count);
    EISBACH_RETURN_IF_ERROR(file_->Read(d, 0, vocab, absl::MakeSpan(read)));
    EISBACH_RETURN_IF_ERROR(file_->ReadMask(d, 0, absl::MakeSpan(mask)));
    const auto start = static_cast<int32_t>(at);
    for (size_t t = 0; t + 1 < count; ++t, ++at) {
      tokens[at] = read[t];
      targets[at] = mask[t + 1] != 0 ? read[t + 1] : -1;
      starts[at] = start;
    }
  }
  PadRow(at, tokens, targets, starts);
  return absl::OkStatus();
}

}  // namespace eisbach::data
