// Sums over rows that do not depend on the thread count: fixed blocks of rows
// are summed by any thread, and the blocks' sums are added in order.

#include <algorithm>
#include <cstdint>

#include "device/cpu/parallel_for.h"

// clang-format off
#if defined(EISBACH_OPS_CPU_BLOCK_SUM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_BLOCK_SUM_INL_H_
#undef EISBACH_OPS_CPU_BLOCK_SUM_INL_H_
#else
#define EISBACH_OPS_CPU_BLOCK_SUM_INL_H_
#endif
// clang-format on

#include "ops/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {

inline constexpr int64_t kBlockRows = 32;

inline int64_t BlockCount(int64_t rows) {
  return (rows + kBlockRows - 1) / kBlockRows;
}

// sum[c] += row[c], for `width` columns.
template <typename T>
HWY_INLINE void AddRow(const T* row, int64_t width, float* sum) {
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    Store(hn::Add(Load(sum + i, lanes), Load(row + i, lanes)), sum + i, lanes);
  });
}

// out[c] = sum over b of blocks[b][c], plus out[c] when `accumulate`.
inline void AddBlocks(const float* blocks, int64_t count, int64_t width,
                      bool accumulate, float* out) {
  constexpr int64_t kColumns = 64;
  const int64_t tiles = (width + kColumns - 1) / kColumns;
  const int64_t grain = 8192 / (kColumns * (count + 1)) + 1;
  cpu::ParallelFor(tiles, grain, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kColumns;
    const int64_t columns = std::min(end * kColumns, width) - first;
    if (!accumulate) std::fill_n(out + first, columns, 0.0f);
    for (int64_t b = 0; b < count; ++b) {
      AddRow(blocks + b * width + first, columns, out + first);
    }
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // EISBACH_OPS_CPU_BLOCK_SUM_INL_H_
