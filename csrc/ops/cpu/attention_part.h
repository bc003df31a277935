#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/attention_part.h"
#include "ops/cpu/attention_tile.h"

namespace eisbach::ops::cpu {

// What the queries of a part see of its keys. Tiles of both begin with the
// spans.
struct PartSizes {
  template <typename Args>
  explicit PartSizes(const Args& args)
      : queries(args.queries),
        keys(args.keys),
        query_rows(args.qkv.dim(1)),
        key_rows(args.keys_values.dim(1)),
        key_width(args.keys_values.dim(2)),
        query_tiles((args.queries.count + kTile - 1) / kTile),
        key_tiles((args.keys.count + kTile - 1) / kTile),
        starts(args.options.starts.defined()
                   ? args.options.starts.template data<int32_t>()
                   : nullptr),
        window(args.options.window) {}

  int64_t tile_queries(int64_t tile) const {
    return std::min(kTile, queries.count - tile * kTile);
  }
  int64_t tile_keys(int64_t tile) const {
    return std::min(kTile, keys.count - tile * kTile);
  }
  // The keys [first, end) that query `q` of the span sees, counted in theirs.
  int64_t end_key(int64_t q) const {
    return std::clamp<int64_t>(queries.position + q + 1 - keys.position, 0,
                               keys.count);
  }
  int64_t first_key(int64_t batch, int64_t q) const {
    int64_t first = 0;
    if (starts != nullptr) first = starts[batch * query_rows + queries.row + q];
    if (window > 0) {
      first = std::max(first, queries.position + q - window + 1);
    }
    return std::clamp<int64_t>(first - keys.position, 0, keys.count);
  }
  // The key tiles [begin, end) of which a query of `tile` sees any: those
  // before a document and a window are passed over, as both only move on.
  int64_t begin_tile(int64_t batch, int64_t tile) const {
    return first_key(batch, tile * kTile) / kTile;
  }
  int64_t end_tile(int64_t tile) const {
    const int64_t last = tile * kTile + tile_queries(tile) - 1;
    return (end_key(last) + kTile - 1) / kTile;
  }

  AttentionSpan queries, keys;
  int64_t query_rows, key_rows;  // of the tensors
  int64_t key_width;
  int64_t query_tiles, key_tiles;
  const int32_t* starts;  // null: rows are one document each
  int64_t window;         // 0: none
};

}  // namespace eisbach::ops::cpu
