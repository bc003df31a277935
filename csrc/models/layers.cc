#include "models/layers.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/rope.h"
#include "parallel/tensor/linear.h"
#include "parallel/tensor/vocabulary.h"
#include "parallel/tensor/width_norm.h"

namespace eisbach::models {
namespace {

constexpr float kStddev = 0.02f;

nn::Range InElements(const nn::Range& heads, int64_t head_dim) {
  return {heads.total * head_dim, heads.start * head_dim,
          heads.count * head_dim};
}

void MarkBase(Parameter& parameter) {
  parameter.mutable_spec().role = AdapterRole::kBase;
  parameter.mutable_spec().training = {.frozen = true};
}

// What adapters call a table.
absl::string_view ModuleOf(absl::string_view table) {
  return table == "head" ? "head" : "embedding";
}

// "query" of "blocks.0.attention.query".
absl::string_view LastPart(absl::string_view name) {
  return name.substr(name.rfind('.') + 1);
}

// What is adapted of a linear layer: all of it by one, or each of its pieces.
std::vector<nn::LoraTerm> AdaptedTerms(const nn::LinearOptions& options,
                                       const Adapter& adapter) {
  const int pieces = static_cast<int>(options.pieces.size());
  if (pieces > 1 && adapter.Adapts(LastPart(options.name))) {
    return {{options.name, 0, pieces}};
  }
  std::vector<nn::LoraTerm> terms;
  for (int i = 0; i < pieces; ++i) {
    const std::string& name = options.pieces[i].name;
    if (adapter.Adapts(LastPart(name))) terms.push_back({name, i, 1});
  }
  return terms;
}

}  // namespace

absl::StatusOr<LayerBuilder> LayerBuilder::Make(
    const ModelConfig& config, bool divides_tokens,
    const parallel::ParallelContext& context) {
  LayerBuilder builder(config, divides_tokens, context);
  Adapter& adapter = builder.config_.adapter;
  if (adapter.targets.empty()) {
    adapter.targets = AdapterTargets(config.architecture);
  }
  EISBACH_ASSIGN_OR_RETURN(
      builder.heads_,
      parallel::ShardHeads(config.heads, config.kv_heads, config.head_dim,
                           builder.rank_, builder.size_));
  if (config.ffn_hidden % builder.size_ != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor=", builder.size_,
                     " does not divide ffn_hidden=", config.ffn_hidden,
                     " (parallel.tensor, model.ffn_hidden); nearest "
                     "ffn_hidden that works: ",
                     (config.ffn_hidden / builder.size_ + 1) * builder.size_));
  }
  const int64_t ffn = config.ffn_hidden / builder.size_;
  builder.ffn_ = {config.ffn_hidden, builder.rank_ * ffn, ffn};
  if (config.architecture.rotary) {
    EISBACH_ASSIGN_OR_RETURN(builder.rope_table_,
                             ops::RopeTable(config.context, config.head_dim,
                                            config.architecture.rope,
                                            context.device().compute_stream()));
    builder.window_rope_table_ = builder.rope_table_;
  }
  if (config.architecture.window_rope_theta > 0) {
    ops::RopeOptions options =
        ops::PlainRope(config.architecture.window_rope_theta);
    options.fraction = config.architecture.rope.fraction;
    EISBACH_ASSIGN_OR_RETURN(
        builder.window_rope_table_,
        ops::RopeTable(config.context, config.head_dim, options,
                       context.device().compute_stream()));
  }
  return builder;
}

LayerBuilder::LayerBuilder(const ModelConfig& config, bool divides_tokens,
                           const parallel::ParallelContext& context)
    : config_(config),
      divides_tokens_(divides_tokens),
      context_(&context),
      rank_(context.index(Axis::kTensor)),
      size_(context.size(Axis::kTensor)) {}

bool LayerBuilder::sharded() const { return size_ > 1; }

void LayerBuilder::Freeze(nn::Module& module) const {
  if (config_.adapter.enabled()) module.VisitParameters(MarkBase);
}

void LayerBuilder::MarkReplicated(nn::Module& module) const {
  if (!divides_tokens_) return;
  module.VisitParameters([](Parameter& parameter) {
    for (LogicalSlice& slice : parameter.mutable_spec().slices) {
      slice.sum_over_tensor = true;
    }
  });
}

std::unique_ptr<nn::Projection> LayerBuilder::MakeLocal(
    const nn::LinearOptions& options) {
  std::vector<nn::LoraTerm> terms = AdaptedTerms(options, config_.adapter);
  if (terms.empty()) {
    auto linear = std::make_unique<nn::Linear>(options);
    Freeze(*linear);
    return linear;
  }
  auto lora = std::make_unique<nn::Lora>(
      nn::LoraOptions{.base = options,
                      .terms = std::move(terms),
                      .rank = config_.adapter.rank,
                      .scale = config_.adapter.Scale(),
                      .dropout = config_.adapter.dropout,
                      .divided = sharded(),
                      .first = rank_ == 0});
  adapted_.push_back(lora.get());
  return lora;
}

std::unique_ptr<nn::Projection> LayerBuilder::MakeColumns(
    nn::LinearOptions options) {
  options.columns = nn::Range::Whole(config_.hidden);
  options.stddev = kStddev;
  std::unique_ptr<nn::Projection> local = MakeLocal(options);
  if (!sharded()) return local;
  return std::make_unique<parallel::ColumnParallelLinear>(std::move(local),
                                                          context_->tensor());
}

std::unique_ptr<nn::Projection> LayerBuilder::MakeRows(const std::string& name,
                                                       const nn::Range& columns,
                                                       bool bias) {
  // Projections back into the residual stream start smaller, so that its
  // variance does not grow with depth (GPT-2).
  nn::LinearOptions options = nn::PlainLinear(
      name, columns.total, config_.hidden, bias,
      kStddev / std::sqrt(2.0f * static_cast<float>(config_.layers)));
  if (!sharded()) return MakeLocal(options);
  options.columns = columns;
  options.shared_bias = true;
  options.first = rank_ == 0;
  return std::make_unique<parallel::RowParallelLinear>(MakeLocal(options),
                                                       context_->tensor());
}

std::unique_ptr<nn::QkvNorm> LayerBuilder::MakeWidthNorm(
    const std::string& name) const {
  const ops::NormKind kind = config_.architecture.head_norm();
  if (!sharded()) {
    return std::make_unique<nn::WidthNorm>(name, heads_.local, config_.norm_eps,
                                           kind);
  }
  return std::make_unique<parallel::DividedWidthNorm>(
      name, heads_, config_.norm_eps, /*primary=*/rank_ == 0, kind,
      context_->tensor());
}

std::unique_ptr<nn::Attention> LayerBuilder::MakeAttention(
    const std::string& name, int64_t layer, bool recompute) {
  const Architecture& architecture = config_.architecture;
  const int64_t d = config_.head_dim;
  nn::LinearOptions qkv;
  qkv.name = absl::StrCat(name, ".qkv");
  qkv.bias = architecture.qkv_bias;
  nn::LinearPiece key{absl::StrCat(name, ".key"),
                      InElements(heads_.key_value, d)};
  key.sum_over_tensor = heads_.any_shared;
  key.foreign_rows = heads_.shared_below ? d : 0;
  nn::LinearPiece value = key;
  value.name = absl::StrCat(name, ".value");
  qkv.pieces = {
      {absl::StrCat(name, ".query"), InElements(heads_.query, d)}, key, value};
  nn::Attention::Parts parts;
  parts.qkv = MakeColumns(std::move(qkv));
  if (architecture.qk_norm == QkNorm::kHead) {
    parts.head_norm = std::make_unique<nn::HeadNorm>(name, d, config_.norm_eps,
                                                     /*primary=*/rank_ == 0,
                                                     architecture.head_norm());
    Freeze(*parts.head_norm);
  }
  if (architecture.qk_norm == QkNorm::kFull) {
    parts.head_norm = MakeWidthNorm(name);
    Freeze(*parts.head_norm);
  }
  parts.output =
      MakeRows(absl::StrCat(name, ".output"), InElements(heads_.query, d),
               architecture.output_bias);
  parts.heads = heads_.local;
  parts.layer = blocks_++;
  if (architecture.RotatesLayer(layer)) {
    const bool window = architecture.WindowOf(layer) != 0;
    parts.rope_table = window ? window_rope_table_ : rope_table_;
  }
  parts.options.window = architecture.WindowOf(layer);
  parts.options.scale = architecture.attention_scale;
  parts.options.cap = architecture.attention_cap;
  parts.recompute = recompute;
  return std::make_unique<nn::Attention>(std::move(parts));
}

std::unique_ptr<nn::Mlp> LayerBuilder::MakeMlp(const std::string& name,
                                               bool recompute) {
  const Architecture& architecture = config_.architecture;
  nn::LinearOptions up;
  up.bias = architecture.mlp_bias;
  if (architecture.gated()) {
    up.name = absl::StrCat(name, ".gate_up");
    up.pieces = {{absl::StrCat(name, ".gate"), ffn_},
                 {absl::StrCat(name, ".up"), ffn_}};
  } else {
    up.name = absl::StrCat(name, ".up");
    up.pieces = {{up.name, ffn_}};
  }
  std::unique_ptr<nn::Xielu> xielu;
  if (architecture.activation == nn::Activation::kXielu) {
    xielu = std::make_unique<nn::Xielu>(name, /*primary=*/rank_ == 0);
    Freeze(*xielu);
  }
  // In the order in which forward uses them.
  std::unique_ptr<nn::Projection> first = MakeColumns(std::move(up));
  std::unique_ptr<nn::Projection> second =
      MakeRows(absl::StrCat(name, ".down"), ffn_, architecture.mlp_bias);
  return std::make_unique<nn::Mlp>(std::move(first), std::move(second),
                                   architecture.activation, std::move(xielu),
                                   recompute);
}

std::unique_ptr<nn::Block> LayerBuilder::MakeBlock(int64_t layer,
                                                   nn::Recompute recompute) {
  const bool selective = recompute == nn::Recompute::kSelective;
  const std::string name = absl::StrCat("blocks.", layer);
  nn::Block::Parts parts;
  const NormPlacement placement = config_.architecture.norm_placement;
  if (placement != NormPlacement::kPost) {
    parts.norm1 = MakeNorm(absl::StrCat(name, ".norm1"));
    parts.norm2 = MakeNorm(absl::StrCat(name, ".norm2"));
  }
  if (placement != NormPlacement::kPre) {
    parts.post_norm1 = MakeNorm(absl::StrCat(name, ".post_norm1"));
    parts.post_norm2 = MakeNorm(absl::StrCat(name, ".post_norm2"));
  }
  parts.attention =
      MakeAttention(absl::StrCat(name, ".attention"), layer, selective);
  parts.dropout1 = std::make_unique<nn::Dropout>(
      absl::StrCat(name, ".attention"), config_.dropout);
  parts.mlp = MakeMlp(absl::StrCat(name, ".mlp"), selective);
  parts.dropout2 = std::make_unique<nn::Dropout>(absl::StrCat(name, ".mlp"),
                                                 config_.dropout);
  parts.recompute = recompute == nn::Recompute::kBlock;
  return std::make_unique<nn::Block>(std::move(parts));
}

std::unique_ptr<Parameter> LayerBuilder::MakeTable(
    const std::string& name) const {
  auto table = std::make_unique<Parameter>(
      nn::TableSpec(name, parallel::VocabularyRows(config_.vocab, rank_, size_),
                    config_.hidden, kStddev));
  if (config_.adapter.enabled() && !config_.adapter.Saves(ModuleOf(name))) {
    MarkBase(*table);
  }
  return table;
}

std::unique_ptr<nn::TokenRows> LayerBuilder::MakeTokenRows(
    const std::string& name) const {
  const Adapter& adapter = config_.adapter;
  if (adapter.tokens.empty() || adapter.Saves(ModuleOf(name))) return nullptr;
  return std::make_unique<nn::TokenRows>(nn::TokenRowsOptions{
      .table = name,
      .ids = adapter.tokens,
      .rows = parallel::VocabularyRows(config_.vocab, rank_, size_),
      .hidden = config_.hidden,
      .divided = sharded(),
      .first = rank_ == 0});
}

std::unique_ptr<nn::TokenEmbedding> LayerBuilder::MakeEmbedding(
    const nn::Table& table) const {
  if (!sharded()) {
    return std::make_unique<nn::Embedding>(table.weight, table.rows);
  }
  return std::make_unique<parallel::VocabularyEmbedding>(
      table, parallel::VocabularyRows(config_.vocab, rank_, size_),
      context_->tensor());
}

std::unique_ptr<nn::PositionEmbedding> LayerBuilder::MakePositions() const {
  if (config_.architecture.rotary) return nullptr;
  auto positions = std::make_unique<nn::PositionEmbedding>(
      "embedding.position", config_.context, config_.hidden, kStddev,
      /*primary=*/rank_ == 0);
  Freeze(*positions);
  MarkReplicated(*positions);
  return positions;
}

std::unique_ptr<nn::Head> LayerBuilder::MakeHead(const nn::Table& table) const {
  const double cap = config_.architecture.final_cap;
  if (!sharded()) {
    return std::make_unique<nn::PlainHead>(table.weight, cap, table.rows);
  }
  return std::make_unique<parallel::VocabularyHead>(
      table, parallel::VocabularyRows(config_.vocab, rank_, size_),
      context_->tensor(), cap);
}

std::unique_ptr<nn::Norm> LayerBuilder::MakeNorm(
    const std::string& name) const {
  auto norm = std::make_unique<nn::Norm>(name, config_.architecture.norm,
                                         config_.hidden, config_.norm_eps,
                                         /*primary=*/rank_ == 0);
  Freeze(*norm);
  MarkReplicated(*norm);
  return norm;
}

}  // namespace eisbach::models
