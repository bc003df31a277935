#pragma once

#include <memory>
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

// The layers [first_layer, end_layer) of a model. The first pipeline stage has
// the embeddings as well, the last one the final norm and the head.
struct StageLayers {
  int64_t first_layer;
  int64_t end_layer;
};

// What one rank holds of a decoder-only transformer: the stage that the context
// gives it, divided among its tensor group.
class Transformer final : public nn::Module {
 public:
  static absl::StatusOr<std::unique_ptr<Transformer>> Make(
      const ModelConfig& config, const StageLayers& layers, bool recompute,
      const parallel::ParallelContext& context);

  // `input` is what the stage before sent, [B, T, hidden] in the compute dtype;
  // on the first stage the tokens, i32 [B, T]. Returns what the next stage
  // needs, [B, T, hidden]; on the last stage the normalised hidden state that
  // the head takes.
  absl::StatusOr<Tensor> Forward(const Tensor& input,
                                 const nn::ForwardContext& context);
  nn::Head& head() { return *head_; }  // on the last stage

  void VisitParameters(const Visitor& visit) override;

  // Makes the adapters part of the weights, whose f32 values change, and
  // ineffective themselves: what the model computes is the same but for
  // rounding. FailedPrecondition where weights are not kept in f32.
  absl::Status MergeAdapters(Stream& stream);

  const ModelConfig& config() const { return config_; }

 private:
  explicit Transformer(const ModelConfig& config) : config_(config) {}

  ModelConfig config_;
  std::unique_ptr<Parameter> table_;       // of the embedding, maybe the head
  std::unique_ptr<Parameter> head_table_;  // where the head has its own
  // Of these tables; null where there are none.
  std::unique_ptr<nn::TokenRows> table_rows_;
  std::unique_ptr<nn::TokenRows> head_rows_;
  std::unique_ptr<nn::TokenEmbedding> embedding_;
  std::unique_ptr<nn::PositionEmbedding> positions_;
  std::unique_ptr<nn::Dropout> dropout_;
  std::vector<std::unique_ptr<nn::Block>> blocks_;
  std::vector<nn::Lora*> adapted_;  // inside the blocks
  std::unique_ptr<nn::Norm> final_norm_;
  std::unique_ptr<nn::Head> head_;
};

// Key under which the embedding and the head of different stages are tied.
inline constexpr char kTiedTable[] = "embedding.token";
inline constexpr char kTiedTokenRows[] = "embedding.token.rows";

}  // namespace eisbach::models
