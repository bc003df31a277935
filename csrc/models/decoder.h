#pragma once

#include <memory>
#include <vector>

#include "models/generate.h"
#include "models/transformer.h"
#include "nn/cache.h"
#include "parallel/context.h"

namespace eisbach::models {

// A transformer that computes each token of a text once: it keeps the keys and
// values of what it was given, each rank those of its layers and heads. Memory
// grows with the longest text.
//
// Every rank of the mesh makes the same calls with the same tokens. Weights do
// not change between calls, or Forget comes first.
class Decoder final : public TextModel {
 public:
  // `model` holds `layers` on this rank, in `dtype`; it and `context` outlive
  // the decoder.
  static absl::StatusOr<std::unique_ptr<Decoder>> Make(
      Transformer& model, const StageLayers& layers, DType dtype,
      const parallel::ParallelContext& context);

  absl::StatusOr<std::vector<float>> Feed(
      absl::Span<const Piece> pieces) override;
  int64_t Keep(int64_t slot, absl::Span<const int32_t> text) override;
  int64_t context() const override { return model_.config().context; }
  int64_t vocab() const override { return model_.config().vocab; }

  void Forget() { seen_.clear(); }
  // Of keys and values on this rank.
  int64_t cache_bytes() const { return cache_.bytes(); }

 private:
  Decoder(Transformer& model, DType dtype, nn::KeyValueCache cache,
          const parallel::ParallelContext& context)
      : model_(model),
        dtype_(dtype),
        cache_(std::move(cache)),
        context_(context) {}

  // Where the tokens of a pass stand, on the host.
  struct Pass {
    std::vector<int32_t> tokens, slots, positions;
    std::vector<int32_t> ends;  // of each piece, its last token
  };
  absl::StatusOr<Pass> Arrange(absl::Span<const Piece> pieces);
  absl::StatusOr<Tensor> ToDevice(const std::vector<int32_t>& ids) const;
  // What follows each of `ends`, [1, pieces, vocab], on every rank.
  absl::StatusOr<Tensor> Logits(const Pass& pass);
  absl::StatusOr<Tensor> Receive(int64_t tokens) const;
  absl::Status Send(const Tensor& hidden) const;

  Transformer& model_;
  const DType dtype_;
  nn::KeyValueCache cache_;
  const parallel::ParallelContext& context_;
  std::vector<std::vector<int32_t>> seen_;  // by slot
};

}  // namespace eisbach::models
