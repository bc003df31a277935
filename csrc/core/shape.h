#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"

namespace eisbach {

// The sizes of a tensor's dimensions, slowest first. A scalar has none.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(absl::Span<const int64_t> dims)
      : dims_(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  // Negative indices count from the end: `shape[-1]` is the innermost size.
  int64_t operator[](int i) const { return dims_[i < 0 ? i + rank() : i]; }
  void Set(int i, int64_t size) { dims_[i < 0 ? i + rank() : i] = size; }
  // At most kMostElements: a shape of more is larger than any memory, and its
  // bytes can still be counted.
  static constexpr int64_t kMostElements = int64_t{1} << 58;
  int64_t elements() const;

  absl::Span<const int64_t> dims() const { return dims_; }
  std::string ToString() const;  // "[2, 3]"

  friend bool operator==(const Shape& a, const Shape& b) {
    return a.dims_ == b.dims_;
  }
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }

 private:
  absl::InlinedVector<int64_t, 5> dims_;
};

using Strides = absl::InlinedVector<int64_t, 5>;

// Element strides of a contiguous tensor of this shape.
Strides ContiguousStrides(const Shape& shape);

}  // namespace eisbach
