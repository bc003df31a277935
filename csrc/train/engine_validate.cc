// What an engine asks of a configuration before anything is allocated.

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/context/zigzag.h"
#include "parallel/tensor/heads.h"
#include "parallel/tensor/sequence.h"
#include "train/engine.h"
#include "train/stages.h"

namespace eisbach::train {
namespace {

absl::Status CheckBatch(const EngineConfig& config, int64_t data) {
  if (config.micro_batch < 1 || config.global_batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "micro_batch=", config.micro_batch, " and global_batch=",
        config.global_batch, " must be at least 1 (train.micro_batch)"));
  }
  const int64_t unit = data * config.micro_batch;
  if (config.global_batch % unit != 0) {
    const int64_t below = config.global_batch / unit * unit;
    const int64_t above = below + unit;
    const bool down =
        below > 0 && config.global_batch - below <= above - config.global_batch;
    return absl::InvalidArgumentError(absl::StrCat(
        "data=", data, " x micro_batch=", config.micro_batch, " = ", unit,
        " does not divide global_batch=", config.global_batch,
        " (train.global_batch); nearest that works: ", down ? below : above));
  }
  return absl::OkStatus();
}

// Whether the parameter groups fit the names of the whole model, and the
// optimizer what it has.
absl::Status CheckGroups(const EngineConfig& config) {
  const std::vector<optim::ParameterGroup>& groups =
      config.update.optimizer.groups;
  const bool has_matrices = config.update.optimizer.name == "muon";
  if (groups.empty() && !has_matrices) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(const std::unique_ptr<comm::World> world,
                           comm::SimWorld(0, 1, DeviceType::kMeta));
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh,
                           parallel::MakeMesh(1, {}));
  EISBACH_ASSIGN_OR_RETURN(
      const std::unique_ptr<parallel::ParallelContext> context,
      parallel::ParallelContext::Make(*world, mesh));
  EISBACH_ASSIGN_OR_RETURN(
      const std::unique_ptr<models::Transformer> model,
      models::Transformer::Make(config.model, {{0, config.model.layers}}, {},
                                *context));
  std::vector<Parameter*> parameters;
  model->VisitParameters([&](Parameter& p) { parameters.push_back(&p); });
  EISBACH_ASSIGN_OR_RETURN(
      const optim::GroupCounts counts,
      optim::ApplyGroups(groups, parameters, has_matrices));
  if (has_matrices && counts.matrices == 0) {
    return absl::InvalidArgumentError(
        "no matrix is trained, so there is nothing for muon to do "
        "(optimizer.name); nearest that works: adamw");
  }
  return optim::CheckCounts(groups, counts, parameters);
}

}  // namespace

absl::Status Engine::Validate(const EngineConfig& config,
                              const parallel::Mesh& mesh) {
  EISBACH_RETURN_IF_ERROR(models::Validate(config.model));
  EISBACH_RETURN_IF_ERROR(Update::Validate(
      config.update, mesh.size(Axis::kData) * mesh.size(Axis::kContext)));
  EISBACH_RETURN_IF_ERROR(optim::Validate(config.spikes));
  if (config.hash_every < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("hash_every=", config.hash_every,
                     " is below 0 (fault.hash_every); nearest that works: 0, "
                     "which never compares"));
  }
  EISBACH_RETURN_IF_ERROR(CheckBatch(config, mesh.size(Axis::kData)));
  EISBACH_RETURN_IF_ERROR(ValidatePairs(config));
  EISBACH_RETURN_IF_ERROR(ops::Validate(config.terms));
  const int tensor = mesh.size(Axis::kTensor);
  EISBACH_RETURN_IF_ERROR(parallel::Zigzag::Validate(
      config.model.context, mesh.size(Axis::kContext)));
  EISBACH_RETURN_IF_ERROR(config.ExchangeOn(mesh).status());
  EISBACH_RETURN_IF_ERROR(parallel::ShardHeads(config.model.heads,
                                               config.model.kv_heads,
                                               config.model.head_dim, 0, tensor)
                              .status());
  if (config.model.ffn_hidden % tensor != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor=", tensor, " does not divide ffn_hidden=",
        config.model.ffn_hidden, " (model.ffn_hidden); nearest that works: ",
        (config.model.ffn_hidden / tensor + 1) * tensor));
  }
  const int stages = mesh.size(Axis::kPipeline);
  const int64_t micro_batches =
      config.global_batch / (mesh.size(Axis::kData) * config.micro_batch);
  EISBACH_ASSIGN_OR_RETURN(
      const parallel::ScheduleShape shape,
      ShapeOfStep(config.pipeline_schedule, stages, config.chunks,
                  static_cast<int>(micro_batches)));
  EISBACH_ASSIGN_OR_RETURN(
      const auto parts,
      DivideLayers(config.model, config.layers_per_stage, shape));
  EISBACH_RETURN_IF_ERROR(
      CheckRecompute(config.recompute, config.recompute_layers, parts, shape));
  EISBACH_RETURN_IF_ERROR(
      parallel::DividesTokens(config.sequence, config.Tokens(mesh)).status());
  return CheckGroups(config);
}

}  // namespace eisbach::train
