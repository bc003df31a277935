#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/config.h"
#include "nn/block.h"
#include "nn/embedding.h"
#include "nn/head.h"
#include "nn/lora.h"
#include "nn/token_rows.h"
#include "parallel/context.h"
#include "parallel/tensor/heads.h"

namespace eisbach::models {

// Makes the layers of a model for one rank: plain ones in a tensor group of
// one, sharded ones otherwise. Blocks, attention and MLPs are the same classes
// either way. `config` is valid. `divides_tokens`: see TransformerOptions.
class LayerBuilder {
 public:
  static absl::StatusOr<LayerBuilder> Make(
      const ModelConfig& config, bool divides_tokens,
      const parallel::ParallelContext& context);

  // Layer `layer` of the model. Blocks are made in the order in which the rank
  // runs them.
  std::unique_ptr<nn::Block> MakeBlock(int64_t layer, nn::Recompute recompute);
  // The [vocab, hidden] table of the embedding or the head.
  std::unique_ptr<Parameter> MakeTable(const std::string& name) const;
  // Its rows that are trained beside adapters; null where there are none.
  std::unique_ptr<nn::TokenRows> MakeTokenRows(const std::string& name) const;
  std::unique_ptr<nn::TokenEmbedding> MakeEmbedding(
      const nn::Table& table) const;
  std::unique_ptr<nn::PositionEmbedding> MakePositions() const;  // or null
  std::unique_ptr<nn::Head> MakeHead(const nn::Table& table) const;
  std::unique_ptr<nn::Norm> MakeNorm(const std::string& name) const;
  // The adapted layers that were made, in order; they belong to the blocks.
  const std::vector<nn::Lora*>& adapted() const { return adapted_; }

 private:
  LayerBuilder(const ModelConfig& config, bool divides_tokens,
               const parallel::ParallelContext& context);

  bool sharded() const;
  // What stays as it is where there are adapters.
  void Freeze(nn::Module& module) const;
  // What works on the residual stream, whole on every rank: each sees the
  // gradient of its tokens.
  void MarkReplicated(nn::Module& module) const;
  // This rank's part of a linear layer, with adapters where it has some.
  std::unique_ptr<nn::Projection> MakeLocal(const nn::LinearOptions& options);
  std::unique_ptr<nn::Projection> MakeColumns(nn::LinearOptions options);
  std::unique_ptr<nn::Projection> MakeRows(const std::string& name,
                                           const nn::Range& columns, bool bias);
  std::unique_ptr<nn::QkvNorm> MakeWidthNorm(const std::string& name) const;
  std::unique_ptr<nn::Attention> MakeAttention(const std::string& name,
                                               int64_t layer, bool recompute);
  std::unique_ptr<nn::Mlp> MakeMlp(const std::string& name, bool recompute);

  ModelConfig config_;
  bool divides_tokens_;
  const parallel::ParallelContext* context_;
  int rank_;  // in the tensor group
  int size_;
  parallel::HeadShard heads_;
  nn::Range ffn_;
  Tensor rope_table_;
  Tensor window_rope_table_;  // where layers with a window turn otherwise
  std::vector<nn::Lora*> adapted_;
  int64_t blocks_ = 0;  // made so far
};

}  // namespace eisbach::models
