#include "plan/estimate.h"

#include <memory>

#include "checkpoint/saver.h"
#include "core/status_macros.h"
#include "plan/meta_rank.h"

namespace eisbach::plan {
namespace {

// All of them, or this rank's part.
int64_t WeightBytes(const FlatWeights& block) {
  const Tensor& stays = block.data.defined() ? block.data : block.weights;
  return static_cast<int64_t>(stays.bytes());
}

// What stays between steps.
RankMemory CountState(train::Engine& engine) {
  RankMemory memory;
  train::Update& update = engine.update();
  const bool masters = update.buffer().compute_dtype() != DType::kF32;
  for (const FlatBucket& bucket : update.buffer().buckets()) {
    memory.weights += WeightBytes(bucket);
    if (masters) memory.masters += static_cast<int64_t>(bucket.master.bytes());
    const Tensor& gradients =
        bucket.grad.defined() ? bucket.grad : bucket.reduced;
    memory.gradients += static_cast<int64_t>(gradients.bytes());
  }
  for (const FrozenBlock& block : update.buffer().frozen()) {
    memory.weights += WeightBytes(block);
  }
  for (const optim::OptimizerState& state : update.optimizer().StateTensors()) {
    memory.optimizer += static_cast<int64_t>(state.tensor.bytes());
  }
  return memory;
}

// Takes what the kernels of a device would, and gives it back.
class Workspaces final : public Recorder {
 public:
  explicit Workspaces(Device& device) : device_(device) {
    device_.set_recorder(this);
  }
  ~Workspaces() override { device_.set_recorder(nullptr); }

  void OnOp(absl::string_view name, const OpCost& cost,
            const Stream&) override {
    TakeWorkspace(device_, name, cost);
  }
  void OnCollective(absl::string_view, absl::string_view, const CollectiveCost&,
                    const Stream&) override {}

 private:
  Device& device_;
};

absl::StatusOr<RankMemory> StateOf(MetaRank& made) {
  train::Engine& engine = made.engine();
  RankMemory memory = CountState(engine);
  memory.parameters = made.parameters();
  EISBACH_ASSIGN_OR_RETURN(
      memory.saving, checkpoint::Saver::StagingBytes(
                         engine.update().buffer(), engine.update().optimizer(),
                         made.context(), {.asynchronous = true}));
  memory.other = made.device().memory().bytes_in_use - memory.peak();
  return memory;
}

}  // namespace

absl::StatusOr<RankMemory> EstimateState(const train::EngineConfig& config,
                                         const parallel::Mesh& mesh, int rank) {
  EISBACH_ASSIGN_OR_RETURN(
      const std::unique_ptr<MetaRank> made,
      MetaRank::Make(config, mesh, rank, DeviceType::kMeta));
  return StateOf(*made);
}

absl::StatusOr<RankMemory> EstimateMemory(const train::EngineConfig& config,
                                          const parallel::Mesh& mesh, int rank,
                                          DeviceType type) {
  EISBACH_ASSIGN_OR_RETURN(const std::unique_ptr<MetaRank> made,
                           MetaRank::Make(config, mesh, rank, type));
  Device& device = made->device();
  EISBACH_ASSIGN_OR_RETURN(RankMemory memory, StateOf(*made));
  device.ResetPeakMemory();
  const Workspaces workspaces(device);
  EISBACH_RETURN_IF_ERROR(made->Step());
  // From the second step on weights are brought ahead.
  if (config.update.zero.zero == 3) EISBACH_RETURN_IF_ERROR(made->Step());
  memory.activations = device.memory().peak_bytes_in_use - memory.peak();
  return memory;
}

}  // namespace eisbach::plan
