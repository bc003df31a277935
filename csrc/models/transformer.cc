#include "models/transformer.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/functions/elementwise.h"
#include "core/dtype.h"
#include "core/status_macros.h"
#include "models/layers.h"

namespace eisbach::models {

namespace {

// As a weight of that dtype holds it.
float RoundTo(DType dtype, double value) {
  const float single = static_cast<float>(value);
  if (dtype == DType::kBF16) return static_cast<float>(BFloat16(single));
  if (dtype == DType::kF16) return static_cast<float>(Float16(single));
  return single;
}

// On the first and the last stage.
void Tie(Parameter& parameter) {
  ParamSpec& spec = parameter.mutable_spec();
  spec.tie_key =
      spec.role == AdapterRole::kFactor ? kTiedTokenRows : kTiedTable;
}

// The first stage counts what is tied.
void MakeReplica(Parameter& parameter) {
  Tie(parameter);
  for (LogicalSlice& slice : parameter.mutable_spec().slices) {
    slice.primary = false;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transformer>> Transformer::Make(
    const ModelConfig& config, std::vector<StageLayers> chunks,
    const TransformerOptions& options,
    const parallel::ParallelContext& context) {
  EISBACH_RETURN_IF_ERROR(Validate(config));
  EISBACH_ASSIGN_OR_RETURN(
      LayerBuilder build,
      LayerBuilder::Make(config, options.divides_tokens, context));
  const int last = static_cast<int>(chunks.size()) - 1;
  std::unique_ptr<Transformer> model(
      new Transformer(config, std::move(chunks)));
  const bool embeds = model->IsFirst(0);
  const bool has_head = model->IsLast(last);
  const bool tied_across = config.tie_embeddings && embeds != has_head;
  const std::string token_table = "embedding.token";
  if (embeds) {
    model->table_ = build.MakeTable(token_table);
    model->table_rows_ = build.MakeTokenRows(token_table);
    const nn::Table table{*model->table_, model->table_rows_.get()};
    if (tied_across) table.VisitParameters(Tie);
    model->embedding_ = build.MakeEmbedding(table);
    model->positions_ = build.MakePositions();
    model->dropout_ =
        std::make_unique<nn::Dropout>("embedding", config.dropout);
  }
  int64_t made = 0;
  for (int c = 0; c <= last; ++c) {
    const StageLayers& layers = model->chunks_[c];
    for (int64_t i = layers.first_layer; i < layers.end_layer; ++i) {
      model->blocks_[c].push_back(build.MakeBlock(i, options.Of(made++)));
    }
  }
  model->adapted_ = build.adapted();
  if (has_head) {
    model->final_norm_ = build.MakeNorm("final_norm");
    const bool own = !config.tie_embeddings || tied_across;
    if (own) {
      const std::string name = config.tie_embeddings ? token_table : "head";
      model->head_table_ = build.MakeTable(name);
      model->head_rows_ = build.MakeTokenRows(name);
    }
    const nn::Table table{own ? *model->head_table_ : *model->table_,
                          (own ? model->head_rows_ : model->table_rows_).get()};
    if (tied_across) table.VisitParameters(MakeReplica);
    model->head_ = build.MakeHead(table);
  }
  return model;
}

absl::StatusOr<Tensor> Transformer::Forward(const Tensor& input,
                                            const nn::ForwardContext& context,
                                            int chunk) {
  nn::Residual residual{input, Tensor()};
  if (IsFirst(chunk)) {
    if (input.rank() != 2 ||
        (context.cached == nullptr && input.dim(1) > config_.context)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tokens of shape ", input.shape().ToString(),
          " do not fit [batch, up to context=", config_.context, "]"));
    }
    EISBACH_ASSIGN_OR_RETURN(residual.x, embedding_->Forward(input, context));
    if (config_.architecture.scale_embedding) {
      const double factor = std::sqrt(static_cast<double>(config_.hidden));
      EISBACH_ASSIGN_OR_RETURN(
          residual.x,
          autograd::Scale(residual.x, RoundTo(residual.x.dtype(), factor),
                          context.stream));
    }
    if (positions_ != nullptr) {
      EISBACH_ASSIGN_OR_RETURN(residual.x,
                               positions_->Forward(residual.x, context));
    }
    EISBACH_ASSIGN_OR_RETURN(residual.x,
                             dropout_->Forward(residual.x, context));
  }
  for (const std::unique_ptr<nn::Block>& block : blocks_[chunk]) {
    EISBACH_ASSIGN_OR_RETURN(residual, block->Forward(residual, context));
  }
  if (!IsLast(chunk)) return nn::Join(residual, context);
  EISBACH_ASSIGN_OR_RETURN(
      autograd::NormResult normed,
      final_norm_->Forward(residual.x, residual.branch, context));
  return normed.y;
}

int64_t Transformer::layers() const {
  int64_t count = 0;
  for (const auto& blocks : blocks_) {
    count += static_cast<int64_t>(blocks.size());
  }
  return count;
}

void Transformer::VisitParameters(const Visitor& visit) {
  if (embedding_ != nullptr) embedding_->VisitParameters(visit);
  if (positions_ != nullptr) positions_->VisitParameters(visit);
  for (const auto& blocks : blocks_) {
    for (const auto& block : blocks) block->VisitParameters(visit);
  }
  if (final_norm_ != nullptr) final_norm_->VisitParameters(visit);
  if (head_ != nullptr) head_->VisitParameters(visit);
}

absl::Status Transformer::MergeAdapters(Stream& stream) {
  for (nn::Lora* lora : adapted_) {
    EISBACH_RETURN_IF_ERROR(lora->Merge(stream));
  }
  if (table_rows_ != nullptr) {
    EISBACH_RETURN_IF_ERROR(table_rows_->Merge(*table_, stream));
  }
  if (head_rows_ != nullptr) {
    EISBACH_RETURN_IF_ERROR(head_rows_->Merge(*head_table_, stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::models
