#include "parallel/tensor/heads.h"

#include "absl/strings/str_cat.h"

namespace eisbach::parallel {
namespace {

int64_t LargestDivisor(int64_t n, int64_t at_most) {
  int64_t d = at_most < n ? at_most : n;
  while (d > 1 && n % d != 0) --d;
  return d;
}

}  // namespace

absl::StatusOr<HeadShard> ShardHeads(int64_t heads, int64_t kv_heads,
                                     int64_t head_dim, int rank, int size) {
  if (kv_heads < 1 || heads % kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("kv_heads=", kv_heads, " does not divide heads=", heads,
                     " (model.kv_heads); nearest that works: ",
                     LargestDivisor(heads, kv_heads < 1 ? 1 : kv_heads)));
  }
  if (heads % size != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor=", size, " does not divide heads=", heads,
                     " (parallel.tensor); nearest that works: ",
                     LargestDivisor(heads, size)));
  }
  const int64_t group = heads / kv_heads;
  const int64_t count = heads / size;
  const int64_t first = rank * count;
  const int64_t first_kv = first / group;
  const int64_t last_kv = (first + count - 1) / group;
  HeadShard shard;
  shard.query = {heads, first, count};
  shard.key_value = {kv_heads, first_kv, last_kv - first_kv + 1};
  shard.local = {count, shard.key_value.count, head_dim, group,
                 first - first_kv * group};
  shard.shared_below = first % group != 0;
  shard.any_shared = count % group != 0;
  return shard;
}

}  // namespace eisbach::parallel
