#include "ops/rows.h"

namespace eisbach::ops {

Rows RowsOf(const Tensor& t, int64_t width) {
  const int64_t last = t.dim(-1);
  const int64_t inner = width == 0 ? 1 : last / width;
  int64_t count = inner;
  for (int i = 0; i < t.rank() - 1; ++i) count *= t.dim(i);
  return {count, width, inner, t.rank() == 1 ? last : t.stride(-2)};
}

}  // namespace eisbach::ops
