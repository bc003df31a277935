#include "checkpoint/load.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/agree.h"
#include "checkpoint/check_file.h"
#include "checkpoint/fill.h"
#include "checkpoint/manifest.h"
#include "checkpoint/read_manifest.h"
#include "checkpoint/shard_set.h"
#include "checkpoint/stored_tensor.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

absl::Status CheckOptimizer(const Manifest& manifest,
                            const optim::Optimizer& optimizer) {
  const std::vector<std::string>& names = optimizer.state_names();
  if (manifest.optimizer_state == names) return absl::OkStatus();
  const auto list = [](const std::vector<std::string>& items) {
    return items.empty() ? std::string("none") : absl::StrJoin(items, ", ");
  };
  return absl::InvalidArgumentError(absl::StrCat(
      "optimizer state in the checkpoint: ", list(manifest.optimizer_state),
      "; this run's optimizer has: ", list(names),
      " (optimizer.name; ema: train.ema)"));
}

// The files are divided among the ranks, so that each is checked once.
absl::Status CheckShare(const std::string& folder, const Manifest& manifest,
                        const comm::Communicator& world) {
  for (size_t i = world.rank(); i < manifest.files.size(); i += world.size()) {
    EISBACH_RETURN_IF_ERROR(
        CheckFile(folder, manifest.files[i], PageCache::kFill));
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadResult> LoadFrom(const std::string& folder,
                                    absl::string_view config,
                                    const FlatBuffer& buffer,
                                    const optim::Optimizer& optimizer,
                                    const parallel::ParallelContext& context) {
  comm::Communicator& world = context.world().communicator();
  Stream& stream = context.device().compute_stream();
  const auto agree = [&](const absl::Status& status) {
    return AgreeOnStatus(status, world, stream);
  };
  absl::StatusOr<ManifestText> text = ReadManifest(folder);
  EISBACH_RETURN_IF_ERROR(agree(text.status()));
  EISBACH_RETURN_IF_ERROR(
      AgreeOnValue(text->hash, "the manifest", world, stream));
  // The same manifest, but `config` is each rank's own.
  const Manifest& manifest = text->manifest;
  absl::Status fits = CheckConfig(manifest.config, config);
  if (fits.ok()) fits = CheckOptimizer(manifest, optimizer);
  EISBACH_RETURN_IF_ERROR(agree(fits));

  EISBACH_RETURN_IF_ERROR(agree(CheckShare(folder, manifest, world)));
  ShardSet shards(folder, NearestFirst(manifest, LayoutOf(context.mesh()),
                                       context.index(Axis::kPipeline),
                                       context.index(Axis::kTensor)));
  const auto stored = StoredTensors(buffer, optimizer);
  absl::StatusOr<std::vector<FillTarget>> plan =
      stored.ok() ? PlanFill(*stored, shards) : stored.status();
  EISBACH_RETURN_IF_ERROR(agree(plan.status()));
  EISBACH_RETURN_IF_ERROR(agree(Fill(*plan, stream)));
  return LoadResult{manifest.step, manifest.state, manifest.loss_scale,
                    manifest.history, manifest.id()};
}

}  // namespace

absl::StatusOr<LoadResult> Load(const std::string& path,
                                absl::string_view config,
                                const FlatBuffer& buffer,
                                const optim::Optimizer& optimizer,
                                const parallel::ParallelContext& context) {
  if (context.device().type() == DeviceType::kMeta) {
    return absl::FailedPreconditionError("meta parameters have no values");
  }
  const comm::PhaseScope phase(context.world().communicator().activity(),
                               comm::Phase::kLoad);
  absl::StatusOr<LoadResult> result =
      LoadFrom(path, config, buffer, optimizer, context);
  if (result.ok()) return result;
  return Annotate(result.status(), absl::StrCat("load ", path));
}

}  // namespace eisbach::checkpoint
