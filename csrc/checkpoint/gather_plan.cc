#include "checkpoint/gather_plan.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/check.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

// A line a piece: "shape start extent name", sizes joined by commas.
std::string JoinSizes(const Shape& shape) {
  return absl::StrJoin(shape.dims(), ",");
}

Shape SplitSizes(absl::string_view text) {
  std::vector<int64_t> sizes;
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    int64_t size = 0;
    EISBACH_CHECK(absl::SimpleAtoi(item, &size));
    sizes.push_back(size);
  }
  return Shape(absl::MakeConstSpan(sizes));
}

absl::Status CheckCovered(const GatherTensor& tensor) {
  Coverage coverage(WholeBox(tensor.shape));
  for (const GatherPiece& piece : tensor.pieces) {
    absl::Status added = coverage.Add(piece.box);
    if (!added.ok()) {
      return Annotate(std::move(added), absl::StrCat("\"", tensor.name, "\""));
    }
  }
  if (coverage.complete()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", tensor.name, "\": no rank is primary for ", coverage.missing(),
      " of its ", tensor.shape.elements(), " elements"));
}

}  // namespace

std::vector<LocalPiece> PrimaryPieces(absl::Span<Parameter* const> parameters) {
  std::vector<LocalPiece> pieces;
  for (const Parameter* parameter : parameters) {
    for (const LogicalSlice& slice : parameter->spec().slices) {
      if (slice.primary && SliceElements(slice) > 0) {
        pieces.push_back({parameter, &slice});
      }
    }
  }
  return pieces;
}

std::string DescribePieces(absl::Span<const LocalPiece> pieces) {
  std::string text;
  for (const LocalPiece& piece : pieces) {
    absl::StrAppend(&text, JoinSizes(piece.slice->shape), " ",
                    JoinSizes(piece.slice->start), " ",
                    JoinSizes(piece.slice->extent), " ", piece.slice->name,
                    "\n");
  }
  return text;
}

absl::StatusOr<std::vector<GatherTensor>> MakeGatherPlan(
    absl::Span<const std::string> descriptions, absl::Span<const int> order) {
  std::vector<GatherTensor> plan;
  absl::flat_hash_map<std::string, size_t> places;
  for (int rank : order) {
    int index = 0;
    for (absl::string_view line :
         absl::StrSplit(descriptions[rank], '\n', absl::SkipEmpty())) {
      const std::vector<std::string> fields =
          absl::StrSplit(line, absl::MaxSplits(' ', 3));
      EISBACH_CHECK(fields.size() == 4);
      const Shape shape = SplitSizes(fields[0]);
      const auto [place, is_new] = places.emplace(fields[3], plan.size());
      if (is_new) plan.push_back({fields[3], shape, {}});
      GatherTensor& tensor = plan[place->second];
      if (tensor.shape != shape) {
        return absl::InvalidArgumentError(
            absl::StrCat("\"", tensor.name, "\" is ", tensor.shape.ToString(),
                         " on one rank and ", shape.ToString(), " on another"));
      }
      tensor.pieces.push_back(
          {rank, index++, {SplitSizes(fields[1]), SplitSizes(fields[2])}});
    }
  }
  for (GatherTensor& tensor : plan) {
    EISBACH_RETURN_IF_ERROR(CheckCovered(tensor));
    std::sort(tensor.pieces.begin(), tensor.pieces.end(),
              [](const GatherPiece& a, const GatherPiece& b) {
                return std::pair(a.rank, a.index) < std::pair(b.rank, b.index);
              });
  }
  return plan;
}

}  // namespace eisbach::checkpoint
