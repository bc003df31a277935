#pragma once

#include <memory>
#include <vector>

#include "models/generate.h"
#include "models/transformer.h"
#include "nn/cache.h"
#include "parallel/context.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::models {

// A transformer that computes each token of a text once: it keeps the keys and
// values of what it was given, each rank those of its layers and heads. Memory
// grows with the longest text.
//
// Every rank of the mesh makes the same calls with the same tokens. Weights do
// not change between calls, or Forget comes first.
class Decoder final : public TextModel {
 public:
  // `model` holds this rank's chunks of the model in `dtype`, placed as `shape`
  // says; it and `context` outlive the decoder.
  static absl::StatusOr<std::unique_ptr<Decoder>> Make(
      Transformer& model, const parallel::ScheduleShape& shape, DType dtype,
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
  Decoder(Transformer& model, const parallel::ScheduleShape& shape, DType dtype,
          nn::KeyValueCache cache, const parallel::ParallelContext& context)
      : model_(model),
        shape_(shape),
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
  // This rank's chunks, each with what it has from another stage and what
  // another has from it. The result is that of the last one.
  absl::StatusOr<Tensor> RunChunks(const Pass& pass,
                                   const nn::ForwardContext& forward);
  absl::StatusOr<Tensor> Receive(int stage, int64_t tokens) const;
  absl::Status Send(int stage, const Tensor& hidden) const;

  Transformer& model_;
  const parallel::ScheduleShape shape_;
  const DType dtype_;
  nn::KeyValueCache cache_;
  const parallel::ParallelContext& context_;
  std::vector<std::vector<int32_t>> seen_;  // by slot
};

}  // namespace eisbach::models
