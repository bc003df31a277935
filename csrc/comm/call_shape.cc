#include "comm/call_shape.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace eisbach::comm {
namespace {

absl::string_view NameOf(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return "sum";
    case ReduceOp::kMax:
      return "max";
    case ReduceOp::kMin:
      return "min";
  }
  return "unknown";
}

// "rank 1 calls", "ranks 0, 2 and 3 call"; of many the first few.
std::string Callers(const std::vector<int>& ranks) {
  constexpr size_t kMost = 4;
  if (ranks.size() == 1) return absl::StrCat("rank ", ranks[0], " calls");
  std::string text = "ranks ";
  const size_t shown = std::min(ranks.size(), kMost);
  for (size_t i = 0; i < shown; ++i) {
    const bool last = i + 1 == ranks.size();
    absl::StrAppend(&text, i == 0 ? "" : last ? " and " : ", ", ranks[i]);
  }
  if (shown < ranks.size()) {
    absl::StrAppend(&text, " and ", ranks.size() - shown, " others");
  }
  return text + " call";
}

}  // namespace

std::string CallShape::ToString() const {
  std::string text(Name(kind));
  const bool reduces =
      kind == CallKind::kAllReduce || kind == CallKind::kReduceScatter;
  if (reduces) absl::StrAppend(&text, " (", NameOf(op), ")");
  if (kind == CallKind::kBarrier || kind == CallKind::kSplit) return text;
  absl::StrAppend(&text, " of ");
  if (kind != CallKind::kAllToAll) absl::StrAppend(&text, elements, " ");
  absl::StrAppend(&text, Name(dtype));
  if (kind == CallKind::kBroadcast) absl::StrAppend(&text, " from rank ", root);
  return text;
}

std::string Disagreement(const std::vector<CallShape>& by_rank) {
  std::vector<std::pair<CallShape, std::vector<int>>> sides;
  for (size_t rank = 0; rank < by_rank.size(); ++rank) {
    const auto side = std::find_if(
        sides.begin(), sides.end(),
        [&](const auto& one) { return one.first == by_rank[rank]; });
    if (side == sides.end()) {
      sides.push_back({by_rank[rank], {static_cast<int>(rank)}});
    } else {
      side->second.push_back(static_cast<int>(rank));
    }
  }
  if (sides.size() < 2) return "";
  std::stable_sort(sides.begin(), sides.end(),
                   [](const auto& a, const auto& b) {
                     return a.second.size() < b.second.size();
                   });
  std::string text = "ranks of a group disagree: ";
  for (const auto& [shape, ranks] : sides) {
    absl::StrAppend(&text, shape == sides[0].first ? "" : "; ", Callers(ranks),
                    " ", shape.ToString());
  }
  return text;
}

std::string CountDisagreement(absl::Span<const int64_t> all, int size) {
  for (int from = 0; from < size; ++from) {
    for (int to = 0; to < size; ++to) {
      const int64_t sent = all[2 * from * size + to];
      const int64_t expected = all[(2 * to + 1) * size + from];
      if (sent == expected) continue;
      return absl::StrCat("all_to_all: rank ", from, " sends ", sent,
                          " elements to rank ", to, ", which expects ",
                          expected);
    }
  }
  return "";
}

std::string TransferDisagreement(int rank, const TransferShape& mine,
                                 const TransferShape& theirs) {
  if (mine.sends == theirs.sends) {
    return absl::StrCat(
        "ranks ", std::min<int>(rank, mine.peer), " and ",
        std::max<int>(rank, mine.peer), " both ",
        mine.sends ? "send to each other where one of them should receive"
                   : "receive from each other where one of them should send");
  }
  const TransferShape& sent = mine.sends ? mine : theirs;
  const TransferShape& expected = mine.sends ? theirs : mine;
  if (sent.bytes == expected.bytes && sent.dtype == expected.dtype) return "";
  return absl::StrCat("rank ", mine.sends ? rank : mine.peer, " sends ",
                      sent.bytes, " bytes of ", Name(sent.dtype), " to rank ",
                      mine.sends ? mine.peer : rank, ", which expects ",
                      expected.bytes, " of ", Name(expected.dtype));
}

absl::Status DisagreementError(absl::string_view where,
                               absl::string_view text) {
  if (text.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": ", text, " (fault.check_collectives)"));
}

}  // namespace eisbach::comm
