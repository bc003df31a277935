#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/gather.h"
#include "checkpoint/load.h"
#include "checkpoint/save.h"
#include "support/status_testing.h"
#include "support/toy.h"

// A model small enough for many engines, whose sizes do not divide: an odd
// vocabulary, key/value heads that tensor ranks share.
namespace eisbach::test {

inline train::EngineConfig SmallConfig(const std::string& family) {
  train::EngineConfig config = ToyConfig(family);
  config.model.layers = 5;
  config.model.hidden = 24;
  config.model.heads = 12;
  // Two tensor ranks of six query heads each: both read the middle one.
  config.model.kv_heads = family == "llama" ? 3 : 12;
  config.model.head_dim = 2;
  config.model.ffn_hidden = 36;
  config.model.context = 6;
  config.model.vocab = 29;
  config.update.bucket_bytes = 1 << 12;
  config.global_batch = 8;
  config.micro_batch = 2;
  return config;
}

inline const Layout kLayouts[] = {{1, 1, 1}, {1, 2, 1}, {1, 3, 1}, {1, 1, 2},
                                  {2, 1, 1}, {1, 2, 2}, {2, 2, 2}};

// Runs `body` on an engine of each rank of `layout`.
using RankBody = std::function<absl::Status(train::Engine&, int rank)>;
inline absl::Status OnEngines(const Layout& layout,
                              const train::EngineConfig& config,
                              const RankBody& body) {
  return comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, /*threads=*/1, [&](comm::World& world) {
        return WithEngine(world, layout, config, [&](train::Engine& engine) {
          return body(engine, world.rank());
        });
      });
}

inline constexpr char kConfig[] = R"({"model":{"heads":12},"seed":1234})";
inline constexpr char kState[] = R"({"samples":24})";

inline absl::StatusOr<std::string> SaveEngine(const std::string& root,
                                              train::Engine& engine) {
  EISBACH_ASSIGN_OR_RETURN(const auto loss_scale,
                           engine.update().ReadLossScale());
  EISBACH_ASSIGN_OR_RETURN(
      checkpoint::SaveOutcome outcome,
      checkpoint::Save({.root = root,
                        .step = engine.update().step(),
                        .config = kConfig,
                        .state = kState,
                        .loss_scale = loss_scale},
                       engine.update().buffer(), engine.update().optimizer(),
                       engine.context()));
  return std::move(outcome.path);
}

// Saves a checkpoint on `layout` after one step; returns the weights.
inline std::vector<checkpoint::LogicalTensor> SaveOn(const Layout& layout,
                                                     const std::string& family,
                                                     const std::string& root) {
  std::vector<checkpoint::LogicalTensor> whole;
  EISBACH_EXPECT_OK(OnEngines(
      layout, SmallConfig(family),
      [&](train::Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(ToyStep(engine).status());
        EISBACH_RETURN_IF_ERROR(SaveEngine(root, engine).status());
        EISBACH_ASSIGN_OR_RETURN(
            std::vector<checkpoint::LogicalTensor> tensors,
            checkpoint::GatherParameters(engine.update().parameters(),
                                         checkpoint::ParameterValue::kMaster,
                                         engine.context()));
        if (rank == 0) whole = std::move(tensors);
        return absl::OkStatus();
      }));
  return whole;
}

inline absl::Status LoadEngine(const std::string& path, train::Engine& engine,
                               const std::string& config = kConfig) {
  EISBACH_ASSIGN_OR_RETURN(
      const checkpoint::LoadResult loaded,
      checkpoint::Load(path, config, engine.update().buffer(),
                       engine.update().optimizer(), engine.context()));
  if (loaded.state != kState) return absl::InternalError(loaded.state);
  return engine.update().Resume(loaded.step, loaded.loss_scale, loaded.history);
}

// The bytes of all that training changes on a rank: masters, compute copies and
// optimizer state, padding and gaps included.
inline std::string BytesOf(train::Engine& engine) {
  std::string bytes;
  const auto add = [&](const Tensor& tensor) {
    bytes.append(static_cast<const char*>(tensor.raw()), tensor.bytes());
  };
  for (const FlatBucket& bucket : engine.update().buffer().buckets()) {
    add(bucket.master);
    add(bucket.data);
  }
  for (const auto& state : engine.update().optimizer().StateTensors()) {
    add(state.tensor);
  }
  return bytes;
}

}  // namespace eisbach::test
