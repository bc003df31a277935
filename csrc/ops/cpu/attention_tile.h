#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numbers>

#include "absl/status/statusor.h"
#include "core/status_macros.h"
#include "core/threads.h"
#include "device/cpu/parallel_for.h"
#include "device/device.h"
#include "ops/attention.h"

namespace eisbach::ops::cpu {

// Queries and keys are cut into tiles of this many positions. Tiles of both
// start at the same positions, so a tile is all visible, all hidden or lies on
// the diagonal.
inline constexpr int64_t kTile = 64;

// What a product on a diagonal tile needs, row block by row block: columns up
// to the row, terms up to the row, terms from the row on.
enum class Part { kAll, kColumnsToRow, kTermsToRow, kTermsFromRow };

inline constexpr int64_t kPadding = 16;  // floats; a cache line, any vector

// Rows of buffers start an odd number of cache lines apart: a power of two
// would put a column of a tile into few sets of the first-level cache.
inline constexpr int64_t kTileStride = kTile + kPadding;

inline int64_t RoundUp(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Sizes of one sequence of a call, and what its queries see.
struct AttentionSizes {
  AttentionSizes(const AttentionHeads& heads, const AttentionOptions& options,
                 int64_t length)
      : length(length),
        width(heads.packed_width()),
        head_dim(heads.head_dim),
        stride((RoundUp(heads.head_dim, kPadding) / kPadding | 1) * kPadding),
        tiles((length + kTile - 1) / kTile),
        window(options.window),
        scale(options.ScaleFor(heads.head_dim)),
        cap(options.cap),
        heads(heads) {}

  int64_t tile_rows(int64_t tile) const {
    return std::min(kTile, length - tile * kTile);
  }
  // The first key tile that a query of `tile` sees, and past the last query
  // tile that sees a key of `tile`. Between them and `tile` all are needed.
  int64_t first_key_tile(int64_t tile) const {
    if (window == 0) return 0;
    return std::max<int64_t>(tile * kTile - window + 1, 0) / kTile;
  }
  int64_t end_query_tile(int64_t tile) const {
    if (window == 0 || window >= length) return tiles;
    const int64_t last_key = tile * kTile + tile_rows(tile) - 1;
    return std::min(tiles, (last_key + window - 1) / kTile + 1);
  }
  // Columns of key tile `tile` that row `row` of query tile `queries` does not
  // see because they are before its window; kTile: all.
  int64_t columns_before_window(int64_t queries, int64_t row,
                                int64_t tile) const {
    if (window == 0) return 0;
    return std::clamp<int64_t>((queries - tile) * kTile + row - window + 1, 0,
                               kTile);
  }
  // Offsets into a row of the packed tensor.
  int64_t query(int64_t head) const { return head * head_dim; }
  int64_t key(int64_t kv) const { return (heads.heads + kv) * head_dim; }
  int64_t value(int64_t kv) const {
    return (heads.heads + heads.kv_heads + kv) * head_dim;
  }
  // The query heads [first, last) that read key/value head `kv`.
  int64_t first_query(int64_t kv) const {
    return std::clamp<int64_t>(kv * heads.group - heads.query_offset, 0,
                               heads.heads);
  }
  int64_t last_query(int64_t kv) const { return first_query(kv + 1); }
  // The scale of scores in units of log2.
  float scale_log2() const {
    return static_cast<float>(scale * std::numbers::log2e);
  }

  int64_t length, width, head_dim, stride, tiles;
  int64_t window;     // 0: none
  double scale, cap;  // 0: no cap
  AttentionHeads heads;
};

// Work buffers of equal size for each thread that ParallelFor may use, from
// one allocation.
class ThreadBuffers {
 public:
  static absl::StatusOr<ThreadBuffers> Make(Device& device, int64_t tasks,
                                            int64_t floats) {
    ThreadBuffers buffers;
    buffers.threads_ = ComputeThreads();
    buffers.size_ = RoundUp(floats, kPadding);
    const int64_t count = std::min<int64_t>(tasks, buffers.threads_);
    EISBACH_ASSIGN_OR_RETURN(
        buffers.storage_,
        device.Allocate(count * buffers.size_ * sizeof(float)));
    return buffers;
  }
  // The calling thread's buffer.
  float* Mine() const {
    const int64_t index = threads_ == 1 ? 0 : omp_get_thread_num();
    return static_cast<float*>(storage_->data()) + index * size_;
  }

 private:
  std::shared_ptr<Storage> storage_;
  int64_t size_ = 0;
  int64_t threads_ = 1;
};

}  // namespace eisbach::ops::cpu
