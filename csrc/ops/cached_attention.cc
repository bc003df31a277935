#include "ops/cached_attention.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(CachedAttentionSlot, CachedAttentionKernel,
                      "cached_attention", OpClass::kAttention)

namespace {

constexpr absl::string_view kOp = "cached_attention";

absl::Status CheckCache(const OpCheck& check, const Tensor& qkv,
                        const AttentionHeads& heads, const KeyValues& cache) {
  EISBACH_RETURN_IF_ERROR(check.Dense("keys", cache.keys, qkv.dtype()));
  if (cache.keys.rank() != 4 || cache.keys.dim(1) != heads.kv_heads ||
      cache.keys.dim(3) != heads.head_dim) {
    return absl::InvalidArgumentError(absl::StrCat(
        kOp, ": keys=", cache.keys.ToString(), " must be [slots, kv_heads=",
        heads.kv_heads, ", capacity, head_dim=", heads.head_dim, "]"));
  }
  return check.Dense("values", cache.values, qkv.dtype(), cache.keys.shape());
}

absl::Status CheckOptions(const AttentionOptions& options) {
  if (std::isfinite(options.scale) && options.window >= 0 && options.cap >= 0 &&
      std::isfinite(options.cap) && !options.starts.defined()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(kOp, ": scale=", options.scale, " and cap=", options.cap,
                   " must be finite, cap and window=", options.window,
                   " at least 0, and starts undefined"));
}

// Whether each token lies in the cache, and behind the one before it where
// that is of the same slot.
absl::Status CheckPlaces(const TokenPlaces& places, const KeyValues& cache) {
  const int32_t* slots = places.slots.data<int32_t>();
  const int32_t* positions = places.positions.data<int32_t>();
  for (int64_t n = 0; n < places.slots.elements(); ++n) {
    const bool inside = slots[n] >= 0 && slots[n] < cache.keys.dim(0) &&
                        positions[n] >= 0 && positions[n] < cache.keys.dim(2);
    if (inside && (n == 0 || slots[n] != slots[n - 1] ||
                   positions[n] == positions[n - 1] + 1)) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        kOp, ": token ", n, " at position ", positions[n], " of slot ",
        slots[n], inside ? " does not follow the token before it" : " is not",
        inside ? ""
               : absl::StrCat(" in a cache of ", cache.keys.dim(0),
                              " slots of ", cache.keys.dim(2))));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Tensor> CachedAttention(const Tensor& qkv,
                                       const AttentionHeads& heads,
                                       const KeyValues& cache,
                                       const TokenPlaces& places,
                                       const AttentionOptions& options,
                                       Stream& stream) {
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(CheckHeads(kOp, heads));
  EISBACH_RETURN_IF_ERROR(CheckOptions(options));
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("qkv", qkv));
  if (qkv.rank() != 3 || qkv.dim(0) != 1 ||
      qkv.dim(2) != heads.packed_width()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kOp, ": qkv=", qkv.ToString(), " must be [1, N, ",
                     heads.packed_width(), "]"));
  }
  const int64_t tokens = qkv.dim(1);
  EISBACH_RETURN_IF_ERROR(CheckCache(check, qkv, heads, cache));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("slots", places.slots, DType::kI32, Shape{tokens}));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("positions", places.positions, DType::kI32, Shape{tokens}));
  if (stream.device().type() == DeviceType::kCpu) {
    EISBACH_RETURN_IF_ERROR(CheckPlaces(places, cache));
  }
  const int64_t width = heads.heads * heads.head_dim;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor out,
      Tensor::Empty(Shape{1, tokens, width}, qkv.dtype(), stream.device()));
  const double seen = static_cast<double>(tokens * cache.keys.dim(2));
  OpCost cost;
  cost.flops = 4 * seen * static_cast<double>(width);
  cost.bytes_read = static_cast<double>(qkv.bytes()) +
                    2 * seen *
                        static_cast<double>(heads.kv_heads * heads.head_dim *
                                            SizeOf(qkv.dtype()));
  cost.bytes_written = static_cast<double>(
      out.bytes() +
      2 * tokens * heads.kv_heads * heads.head_dim * SizeOf(qkv.dtype()));
  EISBACH_RETURN_IF_ERROR(CachedAttentionSlot().Run(
      {qkv, heads, cache, places, options, out}, cost, stream));
  return out;
}

}  // namespace eisbach::ops
