#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "models/config.h"
#include "nn/block.h"
#include "nn/embedding.h"
#include "nn/head.h"
#include "nn/lora.h"
#include "nn/token_rows.h"
#include "parallel/context.h"

namespace eisbach::models {

// The layers [first_layer, end_layer) of a model: a chunk of it. The chunk with
// its first layer has the embeddings as well, that with its last one the final
// norm and the head.
struct StageLayers {
  int64_t first_layer;
  int64_t end_layer;
};

// How a model is computed that a rank holds.
struct TransformerOptions {
  static constexpr int64_t kAllBlocks = -1;
  // In the first `recomputed_blocks` of this rank.
  nn::Recompute recompute = nn::Recompute::kNothing;
  int64_t recomputed_blocks = kAllBlocks;
  // Training divides tokens among the tensor group (ForwardContext::share).
  bool divides_tokens = false;

  // In block number `block` of the rank.
  nn::Recompute Of(int64_t block) const {
    const bool does =
        recomputed_blocks == kAllBlocks || block < recomputed_blocks;
    return does ? recompute : nn::Recompute::kNothing;
  }
};

// What one rank holds of a decoder-only transformer: one or more chunks of it,
// divided among its tensor group.
class Transformer final : public nn::Module {
 public:
  // `chunks` are at least one, in the order of the model.
  static absl::StatusOr<std::unique_ptr<Transformer>> Make(
      const ModelConfig& config, std::vector<StageLayers> chunks,
      const TransformerOptions& options,
      const parallel::ParallelContext& context);

  // One chunk. `input` is what the chunk before it in the model made, [B, T,
  // hidden] in the compute dtype; for the first one the tokens, i32 [B, T].
  // Returns what the next one needs, [B, T, hidden]; of the last one the
  // normalised hidden state that the head takes. With a `context.share` these
  // are [1, count, hidden].
  absl::StatusOr<Tensor> Forward(const Tensor& input,
                                 const nn::ForwardContext& context,
                                 int chunk = 0);
  nn::Head& head() { return *head_; }  // beside the last chunk of the model

  int chunks() const { return static_cast<int>(chunks_.size()); }
  // Whether a chunk is the first or the last one of the model.
  bool IsFirst(int chunk) const { return chunks_[chunk].first_layer == 0; }
  bool IsLast(int chunk) const {
    return chunks_[chunk].end_layer == config_.layers;
  }
  int64_t layers() const;  // of all chunks

  void VisitParameters(const Visitor& visit) override;

  // Makes the adapters part of the weights, whose f32 values change, and
  // ineffective themselves: what the model computes is the same but for
  // rounding. FailedPrecondition where weights are not kept in f32.
  absl::Status MergeAdapters(Stream& stream);

  const ModelConfig& config() const { return config_; }

 private:
  Transformer(const ModelConfig& config, std::vector<StageLayers> chunks)
      : config_(config), chunks_(std::move(chunks)), blocks_(chunks_.size()) {}

  ModelConfig config_;
  std::vector<StageLayers> chunks_;
  std::unique_ptr<Parameter> table_;       // of the embedding, maybe the head
  std::unique_ptr<Parameter> head_table_;  // where the head has its own
  // Of these tables; null where there are none.
  std::unique_ptr<nn::TokenRows> table_rows_;
  std::unique_ptr<nn::TokenRows> head_rows_;
  std::unique_ptr<nn::TokenEmbedding> embedding_;
  std::unique_ptr<nn::PositionEmbedding> positions_;
  std::unique_ptr<nn::Dropout> dropout_;
  std::vector<std::vector<std::unique_ptr<nn::Block>>> blocks_;  // by chunk
  std::vector<nn::Lora*> adapted_;  // inside the blocks
  std::unique_ptr<nn::Norm> final_norm_;
  std::unique_ptr<nn::Head> head_;
};

// Key under which the embedding and the head of different ranks are tied.
inline constexpr char kTiedTable[] = "embedding.token";
inline constexpr char kTiedTokenRows[] = "embedding.token.rows";

}  // namespace eisbach::models
