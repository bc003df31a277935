#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/text_table.h"
#include "parallel/mesh.h"

namespace eisbach::parallel {
namespace {

constexpr int kMaxRows = 16;
constexpr int kMaxColumns = 8;
constexpr int kMaxCellRanks = 8;
constexpr int kGap = -1;  // stands for what is left out

// 0 .. n-1, its middle replaced by a gap when there are more than `limit`.
std::vector<int> Shorten(int n, int limit) {
  std::vector<int> shown;
  for (int i = 0; i < n; ++i) {
    if (n <= limit || i < limit - 2 || i == n - 1) {
      shown.push_back(i);
    } else if (shown.back() != kGap) {
      shown.push_back(kGap);
    }
  }
  return shown;
}

std::string CellText(const std::vector<int>& ranks) {
  if (ranks.size() <= kMaxCellRanks) return absl::StrJoin(ranks, " ");
  const int step = ranks[1] - ranks[0];
  for (size_t i = 1; i < ranks.size(); ++i) {
    if (ranks[i] - ranks[i - 1] == step) continue;
    return absl::StrCat(ranks[0], " ", ranks[1], " ... ", ranks.back());
  }
  return absl::StrCat(ranks.front(), "-", ranks.back(),
                      step == 1 ? "" : absl::StrCat(" step ", step));
}

}  // namespace

std::string Mesh::RankMapText() const {
  const int contexts = size(Axis::kContext);
  const std::vector<int> stages = Shorten(size(Axis::kPipeline), kMaxRows);
  const std::vector<int> columns =
      Shorten(size(Axis::kData) * contexts, kMaxColumns);

  std::vector<std::vector<std::string>> rows(1, {""});
  for (int column : columns) {
    std::string title =
        column == kGap ? "..." : absl::StrCat("data ", column / contexts);
    if (column != kGap && contexts > 1) {
      absl::StrAppend(&title, " context ", column % contexts);
    }
    rows[0].push_back(std::move(title));
  }
  for (int stage : stages) {
    if (stage == kGap) {
      rows.push_back(std::vector<std::string>(columns.size() + 1, "..."));
      continue;
    }
    std::vector<std::string> row = {absl::StrCat("stage ", stage)};
    for (int column : columns) {
      if (column == kGap) {
        row.push_back("...");
        continue;
      }
      Coordinates corner;
      corner[Axis::kPipeline] = stage;
      corner[Axis::kData] = column / contexts;
      corner[Axis::kContext] = column % contexts;
      row.push_back(CellText(Group(RankOf(corner), {Axis::kTensor})));
    }
    rows.push_back(std::move(row));
  }
  std::string text = absl::StrCat(
      world_size_, world_size_ == 1 ? " rank: " : " ranks: ", ToString(), "\n",
      TextTable(rows));
  if (size(Axis::kTensor) > 1) {
    absl::StrAppend(&text, "  (a cell holds the ranks of one tensor group)\n");
  }
  return text;
}

}  // namespace eisbach::parallel
