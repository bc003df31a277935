#include "checkpoint/box.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace eisbach::checkpoint {
namespace {

int64_t End(const Box& box, int d) { return box.start[d] + box.extent[d]; }

}  // namespace

std::string Box::ToString() const {
  std::string text;
  for (int d = 0; d < start.rank(); ++d) {
    absl::StrAppend(&text, d == 0 ? "" : " x ", "[", start[d], ", ",
                    End(*this, d), ")");
  }
  return text;
}

Box BoxOf(const LogicalSlice& slice) { return {slice.start, slice.extent}; }

Box WholeBox(const Shape& shape) {
  Box whole{shape, shape};
  for (int d = 0; d < shape.rank(); ++d) whole.start.Set(d, 0);
  return whole;
}

std::vector<BoxAt> BoxesOf(const ParamSpec& spec, const LogicalSlice& slice,
                           const ElementRange& range) {
  const int64_t offset = SliceOffset(spec, slice);
  const ElementRange part =
      Intersect(range, ElementRange{offset, SliceElements(slice)});
  const int64_t width = slice.extent.rank() > 1 ? slice.extent[1] : 1;
  std::vector<BoxAt> boxes;
  int64_t at = part.begin - offset;  // in the slice
  const int64_t end = part.end() - offset;
  while (at < end) {
    Box box = BoxOf(slice);
    const int64_t row = at / width, column = at % width;
    const bool whole_rows = column == 0 && end - at >= width;
    const int64_t rows = whole_rows ? (end - at) / width : 1;
    const int64_t columns = std::min(width - column, end - at);
    box.start.Set(0, slice.start[0] + row);
    box.extent.Set(0, rows);
    if (slice.extent.rank() > 1) {
      box.start.Set(1, slice.start[1] + column);
      box.extent.Set(1, columns);
    }
    boxes.push_back({std::move(box), offset + at});
    at += rows * columns;
  }
  return boxes;
}

std::optional<Box> Intersect(const Box& a, const Box& b) {
  Box both = a;
  for (int d = 0; d < a.start.rank(); ++d) {
    const int64_t start = std::max(a.start[d], b.start[d]);
    const int64_t end = std::min(End(a, d), End(b, d));
    if (start >= end) return std::nullopt;
    both.start.Set(d, start);
    both.extent.Set(d, end - start);
  }
  return both;
}

std::vector<Box> CutRows(const Box& box, int64_t most) {
  std::vector<Box> cut;
  const int64_t width = box.extent.rank() > 1 ? box.extent[1] : 1;
  const int64_t step = std::max<int64_t>(most / std::max<int64_t>(width, 1), 1);
  for (int64_t row = 0; row < box.extent[0]; row += step) {
    Box rows = box;
    rows.start.Set(0, box.start[0] + row);
    rows.extent.Set(0, std::min(step, box.extent[0] - row));
    cut.push_back(std::move(rows));
  }
  return cut;
}

int64_t OffsetIn(const Box& part, const Box& box) {
  const int64_t row = part.start[0] - box.start[0];
  if (part.start.rank() == 1) return row;
  return row * box.extent[1] + part.start[1] - box.start[1];
}

void CopyBox(const Box& part, const Box& from, const void* from_data,
             const Box& to, float* to_data) {
  const char* in = static_cast<const char*>(from_data);
  ForEachRow(part, from, to, [&](int64_t at, int64_t to_at, int64_t count) {
    std::memcpy(to_data + to_at, in + at * sizeof(float),
                count * sizeof(float));
  });
}

absl::Status Coverage::Add(const Box& box) {
  const std::optional<Box> inside = Intersect(box, whole_);
  if (!inside || inside->elements() != box.elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat(box.ToString(), " is not within ", whole_.ToString()));
  }
  for (const Box& other : boxes_) {
    if (const std::optional<Box> both = Intersect(box, other)) {
      return absl::InvalidArgumentError(
          absl::StrCat(both->ToString(), " is there twice"));
    }
  }
  boxes_.push_back(box);
  covered_ += box.elements();
  return absl::OkStatus();
}

}  // namespace eisbach::checkpoint
