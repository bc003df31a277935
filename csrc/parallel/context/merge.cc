#include "parallel/context/merge.h"

#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::parallel {
namespace {

// Calls `f` for the chunks of queries of this rank and of keys of rank `source`
// of which some query sees some key; those of one chunk of queries in the order
// of the row's end to its beginning, so that each sees itself first.
template <typename F>
absl::Status ForEachSeen(const Zigzag& zigzag, int source, int64_t window,
                         F&& f) {
  const auto sources = zigzag.SpansOf(source);
  for (const ops::AttentionSpan& queries : zigzag.Mine()) {
    for (auto keys = sources.rbegin(); keys != sources.rend(); ++keys) {
      if (ops::AttentionPairs(queries, *keys, window) == 0) continue;
      EISBACH_RETURN_IF_ERROR(f(queries, *keys));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MergedAttention> MergedAttention::Make(
    const Tensor& qkv, const ops::AttentionHeads& heads,
    const ops::AttentionOptions& options, const Zigzag& zigzag,
    Stream& stream) {
  MergedAttention merged(qkv, heads, options, zigzag, stream);
  EISBACH_ASSIGN_OR_RETURN(
      merged.out_,
      Tensor::Empty(Shape{qkv.dim(0), qkv.dim(1), heads.heads * heads.head_dim},
                    DType::kF32, stream.device()));
  EISBACH_ASSIGN_OR_RETURN(
      merged.lse_, Tensor::Empty(Shape{qkv.dim(0), heads.heads, qkv.dim(1)},
                                 DType::kF32, stream.device()));
  return merged;
}

absl::Status MergedAttention::Add(const Tensor& keys_values, int source) {
  return ForEachSeen(
      zigzag_, source, options_.window,
      [&](const ops::AttentionSpan& queries, const ops::AttentionSpan& keys) {
        const bool itself = queries.position == keys.position;
        return ops::AttentionPart({.qkv = qkv_,
                                   .keys_values = keys_values,
                                   .heads = heads_,
                                   .queries = queries,
                                   .keys = keys,
                                   .options = options_,
                                   .merges = !itself,
                                   .out = out_,
                                   .lse = lse_},
                                  stream_);
      });
}

absl::StatusOr<Tensor> MergedAttention::Out() const {
  if (qkv_.dtype() == DType::kF32) return out_;
  return ops::Cast(out_, qkv_.dtype(), stream_);
}

absl::Status AddMergedGradient(const Tensor& dout, const Tensor& qkv,
                               const Tensor& keys_values, int source,
                               const MergedOutput& merged,
                               const ops::AttentionHeads& heads,
                               const ops::AttentionOptions& options,
                               const Zigzag& zigzag, const Tensor& dqueries,
                               const Tensor& dkeys_values, Stream& stream) {
  return ForEachSeen(
      zigzag, source, options.window,
      [&](const ops::AttentionSpan& queries, const ops::AttentionSpan& keys) {
        return ops::AttentionPartBackward({.dout = dout,
                                           .qkv = qkv,
                                           .keys_values = keys_values,
                                           .out = merged.out,
                                           .lse = merged.lse,
                                           .heads = heads,
                                           .queries = queries,
                                           .keys = keys,
                                           .options = options,
                                           .dqueries = dqueries,
                                           .dkeys_values = dkeys_values},
                                          stream);
      });
}

}  // namespace eisbach::parallel
