#include "plan/experts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/divisor.h"
#include "core/status_macros.h"

namespace eisbach::plan {
namespace {

using models::ModelConfig;

absl::Status Refuse(absl::string_view option, int64_t value,
                    absl::string_view rule, int64_t nearest) {
  return absl::InvalidArgumentError(
      absl::StrCat(option, "=", value, " ", rule,
                   "; nearest that works: ", option, "=", nearest));
}

int64_t RanksOfStage(const parallel::Mesh& mesh) {
  return mesh.world_size() / mesh.size(Axis::kPipeline);
}

// Columns of an MLP's first product, and rows of its second, for each of width.
int64_t Products(const ModelConfig& model) {
  return model.architecture.gated() ? 3 : 2;
}

ModelConfig WithWidth(ModelConfig model, int64_t width) {
  model.ffn_hidden = width;
  return model;
}

int64_t RouterWeights(const ModelConfig& model, const Experts& experts) {
  return experts.routed() ? model.hidden * experts.count : 0;
}

// Whether a product of an MLP so wide has the sizes of another on any number of
// tensor ranks, or its two products each other's.
bool IsLikeOthers(const ModelConfig& model, int64_t width) {
  const int64_t up = (Products(model) - 1) * width;
  for (int64_t tensor = 1; tensor <= model.heads; ++tensor) {
    if (model.heads % tensor != 0 || width % tensor != 0) continue;
    const int64_t queries = model.heads / tensor * model.head_dim;
    const int64_t keys =
        (model.kv_heads + tensor - 1) / tensor * model.head_dim;
    for (const int64_t other : {queries, queries + 2 * keys, model.hidden,
                                (model.vocab + tensor - 1) / tensor}) {
      if (other == width / tensor || other == up / tensor) return true;
    }
  }
  return false;
}

}  // namespace

absl::Status Check(const Experts& experts, const train::EngineConfig& config) {
  if (experts.count < 0) {
    return Refuse("experts", experts.count, "is below 0", 0);
  }
  if (!experts.any()) return absl::OkStatus();
  if (experts.per_token < 1 || experts.per_token > experts.count) {
    return Refuse("experts_per_token", experts.per_token,
                  absl::StrCat("is not between 1 and experts=", experts.count),
                  std::clamp<int64_t>(experts.per_token, 1, experts.count));
  }
  if (experts.hidden < 1) {
    return Refuse("expert_hidden", experts.hidden, "is below 1", 1);
  }
  if (experts.shared_hidden < 0) {
    return Refuse("shared_hidden", experts.shared_hidden, "is below 0", 0);
  }
  const int64_t tokens = config.global_batch * config.model.context;
  if ((experts.count - 1) / experts.per_token >= tokens) {
    return Refuse("experts", experts.count,
                  absl::StrCat("is more than the ", tokens,
                               " tokens of a step (train.global_batch x "
                               "model.context) meet, each of them "
                               "experts_per_token=",
                               experts.per_token),
                  tokens * experts.per_token);
  }
  if (config.model.adapter.enabled()) {
    return absl::InvalidArgumentError(
        absl::StrCat("experts=", experts.count,
                     ": adapters of experts are not modelled (adapter.rank); "
                     "nearest that works: adapter.rank=0"));
  }
  return absl::OkStatus();
}

absl::Status Check(const Experts& experts, const parallel::Mesh& mesh) {
  if (!experts.any()) return absl::OkStatus();
  const int64_t ranks = RanksOfStage(mesh);
  const int64_t both = std::gcd(ranks, experts.count);
  if (experts.ranks >= 1 && both % experts.ranks == 0) return absl::OkStatus();
  const bool divides = experts.ranks >= 1 && experts.count % experts.ranks == 0;
  return Refuse(
      "expert_parallel", experts.ranks,
      divides ? absl::StrCat("does not divide the ", ranks,
                             " ranks of a stage (data x context x tensor)")
              : absl::StrCat("does not divide experts=", experts.count),
      NearestDivisor(both, std::max(experts.ranks, 1)));
}

absl::StatusOr<train::EngineConfig> DenseOf(const train::EngineConfig& config,
                                            const Experts& experts) {
  EISBACH_RETURN_IF_ERROR(Check(experts, config));
  train::EngineConfig dense = config;
  if (!experts.any()) return dense;
  if (config.update.zero.group > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "zero_group=", config.update.zero.group,
        " (parallel.zero_group): with experts=", experts.count,
        " only what all ranks divide is modelled; nearest that works: "
        "zero_group=auto"));
  }
  int64_t& width = dense.model.ffn_hidden;
  width = experts.active_hidden();
  // By a number that every number of tensor ranks divides.
  while (IsLikeOthers(dense.model, width)) width += dense.model.heads;
  return dense;
}

ModelSize SizeOf(const ModelConfig& model, const Experts& experts) {
  if (!experts.any()) {
    const int64_t all = models::ParameterCount(model);
    return {all, all, models::TrainingFlopsPerToken(model)};
  }
  const ModelConfig active = WithWidth(model, experts.active_hidden());
  const ModelConfig all =
      WithWidth(model, experts.count * experts.hidden + experts.shared_hidden);
  const int64_t routers = model.layers * RouterWeights(model, experts);
  // Each expert has its own bias behind the second product.
  const int64_t biases =
      model.architecture.mlp_bias ? model.layers * model.hidden : 0;
  return {models::ParameterCount(all) + routers + (experts.count - 1) * biases,
          models::ParameterCount(active) + routers +
              (experts.per_token - 1) * biases,
          models::TrainingFlopsPerToken(active) +
              6.0 * static_cast<double>(routers)};
}

ExpertWeights WeightsOf(const train::EngineConfig& dense,
                        const Experts& experts, int tensor) {
  const ModelConfig& model = dense.model;
  const auto each = static_cast<double>(Products(model) * model.hidden);
  ExpertWeights weights;
  weights.recorded = each * static_cast<double>(model.ffn_hidden) / tensor;
  weights.dense = each * static_cast<double>(experts.shared_hidden) / tensor +
                  static_cast<double>(RouterWeights(model, experts));
  weights.experts =
      each * static_cast<double>(experts.local() * experts.hidden);
  return weights;
}

absl::StatusOr<RankMemory> BytesOfWeight(const train::EngineConfig& dense) {
  train::EngineConfig config = dense;
  models::Architecture& a = config.model.architecture;
  a.window = a.window_from = a.window_full_every = a.no_rope_every = 0;
  a.window_rope_theta = 0;
  config.model.layers = 1;
  config.model.vocab = std::min<int64_t>(config.model.vocab, 64);
  config.pipeline_schedule = "1f1b";
  config.chunks = 0;
  config.layers_per_stage.clear();
  config.recompute_layers = models::TransformerOptions::kAllBlocks;
  config.update.zero = {};
  config.global_batch = config.micro_batch;
  const parallel::Mesh alone = parallel::MakeMesh(1, {}).value();
  EISBACH_ASSIGN_OR_RETURN(const RankMemory narrow,
                           EstimateState(config, alone, 0));
  config.model.ffn_hidden *= 2;
  EISBACH_ASSIGN_OR_RETURN(const RankMemory wide,
                           EstimateState(config, alone, 0));
  const auto weights = static_cast<double>(wide.parameters - narrow.parameters);
  const auto each = [&](int64_t RankMemory::*kind) {
    return std::llround(static_cast<double>(wide.*kind - narrow.*kind) /
                        weights);
  };
  return RankMemory{.parameters = 1,
                    .weights = each(&RankMemory::weights),
                    .masters = each(&RankMemory::masters),
                    .gradients = each(&RankMemory::gradients),
                    .optimizer = each(&RankMemory::optimizer)};
}

int RanksAlike(const parallel::Mesh& mesh, const Experts& experts) {
  return static_cast<int>(
      std::max<int64_t>(1, RanksOfStage(mesh) / experts.ranks));
}

Parts PartsOf(const train::EngineConfig& dense, const parallel::Mesh& mesh,
              const Experts& experts, int least) {
  const double copies = mesh.size(Axis::kData) * mesh.size(Axis::kContext);
  if (dense.update.zero.zero < least || copies == 1) return {};
  return {copies, static_cast<double>(RanksAlike(mesh, experts))};
}

absl::StatusOr<RankMemory> WithExperts(const RankMemory& memory,
                                       const train::EngineConfig& dense,
                                       const parallel::Mesh& mesh,
                                       const Experts& experts, int64_t layers) {
  if (!experts.any()) return memory;
  EISBACH_ASSIGN_OR_RETURN(const RankMemory bytes, BytesOfWeight(dense));
  const ExpertWeights weights =
      WeightsOf(dense, experts, mesh.size(Axis::kTensor));
  RankMemory changed = memory;
  const auto change = [&](int64_t RankMemory::*kind, int least) {
    const Parts parts = PartsOf(dense, mesh, experts, least);
    const double more = static_cast<double>(layers) *
                        ((weights.dense - weights.recorded) / parts.dense +
                         weights.experts / parts.experts);
    changed.*kind += std::llround(more) * (bytes.*kind);
  };
  change(&RankMemory::parameters, 4);
  change(&RankMemory::weights, 3);
  change(&RankMemory::gradients, 2);
  change(&RankMemory::masters, 1);
  change(&RankMemory::optimizer, 1);
  return changed;
}

}  // namespace eisbach::plan
