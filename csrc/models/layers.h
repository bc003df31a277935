#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "models/config.h"
#include "nn/block.h"
#include "nn/embedding.h"
#include "nn/head.h"
#include "parallel/context.h"
#include "parallel/tensor/heads.h"

namespace eisbach::models {

// Makes the layers of a model for one rank: plain ones in a tensor group of
// one, sharded ones otherwise. Blocks, attention and MLPs are the same classes
// either way. `config` is valid.
class LayerBuilder {
 public:
  static absl::StatusOr<LayerBuilder> Make(
      const ModelConfig& config, const parallel::ParallelContext& context);

  std::unique_ptr<nn::Block> MakeBlock(int64_t layer, bool recompute) const;
  // The [vocab, hidden] table of the embedding or the head.
  std::unique_ptr<Parameter> MakeTable(const std::string& name) const;
  std::unique_ptr<nn::TokenEmbedding> MakeEmbedding(Parameter& table) const;
  std::unique_ptr<nn::PositionEmbedding> MakePositions() const;  // or null
  std::unique_ptr<nn::Head> MakeHead(Parameter& table) const;
  std::unique_ptr<nn::Norm> MakeNorm(const std::string& name) const;

 private:
  LayerBuilder(const ModelConfig& config,
               const parallel::ParallelContext& context);

  bool sharded() const;
  std::unique_ptr<nn::Projection> MakeColumns(nn::LinearOptions options) const;
  std::unique_ptr<nn::Projection> MakeRows(const std::string& name,
                                           const nn::Range& columns,
                                           bool bias) const;
  std::unique_ptr<nn::Attention> MakeAttention(const std::string& name,
                                               int64_t layer) const;
  std::unique_ptr<nn::Mlp> MakeMlp(const std::string& name) const;

  ModelConfig config_;
  const parallel::ParallelContext* context_;
  int rank_;  // in the tensor group
  int size_;
  parallel::HeadShard heads_;
  nn::Range ffn_;
  Tensor rope_table_;
};

}  // namespace eisbach::models
