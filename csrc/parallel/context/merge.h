#pragma once

#include "absl/status/statusor.h"
#include "ops/attention_part.h"
#include "parallel/context/zigzag.h"

namespace eisbach::parallel {

// What the queries of a rank attend to, merged from one rank's keys and values
// after the other's (ops/attention_part.h). What no query of a chunk sees is
// not computed.
class MergedAttention {
 public:
  // `options` with the starts of this rank's part; all outlive it.
  static absl::StatusOr<MergedAttention> Make(
      const Tensor& qkv, const ops::AttentionHeads& heads,
      const ops::AttentionOptions& options, const Zigzag& zigzag,
      Stream& stream);

  // Adds those of rank `source`, [B, T / n, width]; this rank's own first.
  absl::Status Add(const Tensor& keys_values, int source);

  // In the dtype of qkv.
  absl::StatusOr<Tensor> Out() const;
  const Tensor& lse() const { return lse_; }

 private:
  MergedAttention(const Tensor& qkv, const ops::AttentionHeads& heads,
                  const ops::AttentionOptions& options, const Zigzag& zigzag,
                  Stream& stream)
      : qkv_(qkv),
        heads_(heads),
        options_(options),
        zigzag_(zigzag),
        stream_(stream) {}

  const Tensor& qkv_;
  const ops::AttentionHeads& heads_;
  const ops::AttentionOptions& options_;
  const Zigzag& zigzag_;
  Stream& stream_;
  Tensor out_;  // f32
  Tensor lse_;
};

// What a layer keeps of it, for its gradient.
struct MergedOutput {
  Tensor out;
  Tensor lse;
};

// Adds what keys and values of rank `source` have to do with the gradients:
// to dqueries, f32 [B, T / n, heads * head_dim], of this rank, and to
// dkeys_values, f32, of theirs.
absl::Status AddMergedGradient(const Tensor& dout, const Tensor& qkv,
                               const Tensor& keys_values, int source,
                               const MergedOutput& merged,
                               const ops::AttentionHeads& heads,
                               const ops::AttentionOptions& options,
                               const Zigzag& zigzag, const Tensor& dqueries,
                               const Tensor& dkeys_values, Stream& stream);

}  // namespace eisbach::parallel
