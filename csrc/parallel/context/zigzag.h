#pragma once

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "ops/attention_part.h"
#include "tensor/tensor.h"

namespace eisbach::parallel {

// Which tokens of a row each of n ranks has: the row is cut into 2n chunks, and
// rank i has the i-th from the beginning, then the i-th from the end. Of causal
// attention, where late tokens see more, that is the same work for all.
class Zigzag {
 public:
  static constexpr int kChunks = 2;  // of a rank

  // InvalidArgument, with the nearest length that works, where `length` tokens
  // have no 2n equal chunks.
  static absl::Status Validate(int64_t length, int ranks);

  // Of rows that Validate has let pass.
  Zigzag(int64_t length, int ranks, int rank)
      : ranks_(ranks), rank_(rank), chunk_(length / (kChunks * ranks)) {}

  int ranks() const { return ranks_; }
  int rank() const { return rank_; }
  int64_t chunk() const { return chunk_; }  // tokens
  int64_t length() const { return kChunks * ranks_ * chunk_; }
  int64_t part() const { return kChunks * chunk_; }  // tokens of a rank

  // Where a rank's chunks lie in its own tensor and in the row.
  std::array<ops::AttentionSpan, kChunks> SpansOf(int rank) const;
  std::array<ops::AttentionSpan, kChunks> Mine() const {
    return SpansOf(rank_);
  }

  // This rank's part [B, T / n, ...] of whole rows [B, T, ...].
  absl::StatusOr<Tensor> Take(const Tensor& whole, Stream& stream) const;
  // Whole rows [B, T, ...] of what all ranks have, [n, B, T / n, ...], and the
  // reverse; contiguous.
  absl::StatusOr<Tensor> Join(const Tensor& parts, Stream& stream) const;
  absl::StatusOr<Tensor> Cut(const Tensor& whole, Stream& stream) const;

 private:
  const int ranks_, rank_;
  const int64_t chunk_;
};

}  // namespace eisbach::parallel
