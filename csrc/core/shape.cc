#include "core/shape.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace eisbach {

int64_t Shape::elements() const {
  int64_t n = 1;
  bool beyond = false;
  for (int64_t d : dims_) {
    if (d == 0) return 0;
    beyond = __builtin_mul_overflow(n, d, &n) || beyond;
  }
  return beyond || n > kMostElements ? kMostElements : n;
}

std::string Shape::ToString() const {
  return absl::StrCat("[", absl::StrJoin(dims_, ", "), "]");
}

Strides ContiguousStrides(const Shape& shape) {
  Strides strides(shape.rank());
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

}  // namespace eisbach
