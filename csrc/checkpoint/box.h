#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/shape.h"
#include "tensor/parameter.h"

namespace eisbach::checkpoint {

// A part of a logical tensor of one or two dimensions: the elements
// [start[d], start[d] + extent[d]) of each dimension d.
struct Box {
  Shape start;
  Shape extent;

  int64_t elements() const { return extent.elements(); }
  std::string ToString() const;  // "[0, 8) x [4, 6)"
};

Box BoxOf(const LogicalSlice& slice);
Box WholeBox(const Shape& shape);

// The boxes that together hold the elements of `range`, which are those of the
// local parameter, as far as they are of `slice`: of a matrix a piece of a row,
// whole rows, and another piece of one. In the order of the elements.
struct BoxAt {
  Box box;
  int64_t offset;  // of its first element in the local parameter
};
std::vector<BoxAt> BoxesOf(const ParamSpec& spec, const LogicalSlice& slice,
                           const ElementRange& range);

// The elements that both hold; none for boxes that do not meet. Both are of
// the same rank.
std::optional<Box> Intersect(const Box& a, const Box& b);

// Boxes of whole rows (of a vector: of elements) that together are `box`, in
// order, each of at most `most` elements where a row has no more.
std::vector<Box> CutRows(const Box& box, int64_t most);

// Elements before those of `part` in the memory of `box`, which it lies in.
int64_t OffsetIn(const Box& part, const Box& box);

// Calls visit(from, to, count) for each row of `part`, which lies in both
// boxes: where the row's `count` elements are in the memory of either.
template <typename Visit>
void ForEachRow(const Box& part, const Box& from, const Box& to,
                const Visit& visit) {
  const bool matrix = part.start.rank() > 1;
  const int64_t rows = matrix ? part.extent[0] : 1;
  const int64_t from_width = matrix ? from.extent[1] : 0;
  const int64_t to_width = matrix ? to.extent[1] : 0;
  const int64_t from_begin = OffsetIn(part, from);
  const int64_t to_begin = OffsetIn(part, to);
  for (int64_t r = 0; r < rows; ++r) {
    visit(from_begin + r * from_width, to_begin + r * to_width,
          part.extent[-1]);
  }
}

// Copies the elements of `part`, which lies in both `from` and `to`. Memory is
// that of the whole boxes, contiguous, row-major; `from_data` needs no
// alignment.
void CopyBox(const Box& part, const Box& from, const void* from_data,
             const Box& to, float* to_data);

// Whether boxes cover a box exactly once.
class Coverage {
 public:
  explicit Coverage(Box whole) : whole_(std::move(whole)) {}

  // InvalidArgument when `box` is not within the whole or meets one that was
  // added before.
  absl::Status Add(const Box& box);
  bool complete() const { return covered_ == whole_.elements(); }
  int64_t missing() const { return whole_.elements() - covered_; }

 private:
  const Box whole_;
  std::vector<Box> boxes_;
  int64_t covered_ = 0;
};

}  // namespace eisbach::checkpoint
