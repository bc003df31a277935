#include "ops/copy_dims.h"

#include <algorithm>

namespace eisbach::ops {

CopyDims MergedCopyDims(const Tensor& from, const Tensor& to) {
  CopyDims dims;
  for (int i = 0; i < from.rank(); ++i) {
    if (from.dim(i) == 1) continue;
    dims.push_back({from.dim(i), from.stride(i), to.stride(i)});
  }
  std::stable_sort(dims.begin(), dims.end(),
                   [](const CopyDim& a, const CopyDim& b) {
                     return a.to_stride > b.to_stride;
                   });
  CopyDims merged;
  for (const CopyDim& dim : dims) {
    if (!merged.empty() &&
        merged.back().from_stride == dim.from_stride * dim.size &&
        merged.back().to_stride == dim.to_stride * dim.size) {
      merged.back() = {merged.back().size * dim.size, dim.from_stride,
                       dim.to_stride};
    } else {
      merged.push_back(dim);
    }
  }
  if (merged.empty()) merged.push_back({1, 1, 1});
  return merged;
}

CopyDim TakeFasterColumn(CopyDims& dims) {
  CopyDim column = {1, 0, 0};
  const auto fastest = std::min_element(dims.begin(), dims.end() - 1,
                                        [](const CopyDim& a, const CopyDim& b) {
                                          return a.from_stride < b.from_stride;
                                        });
  if (fastest != dims.end() - 1 &&
      fastest->from_stride < dims.back().from_stride) {
    column = *fastest;
    dims.erase(fastest);
  }
  return column;
}

}  // namespace eisbach::ops
