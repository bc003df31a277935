#include "plan/estimate.h"

#include <gtest/gtest.h>

#include <limits>
#include <mutex>
#include <vector>

#include "models/config.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::plan::estimate_test {
namespace {

using test::Layout;

// Large enough that the allocator's rounding to 256 bytes is small beside it.
train::EngineConfig MiddleConfig(const char* family) {
  train::EngineConfig config = test::ToyConfig(family);
  config.model.layers = 4;
  config.model.context = 64;
  config.model.vocab = 500;
  config.global_batch = 8;
  config.micro_batch = 2;
  return config;
}

RankMemory Estimate(const train::EngineConfig& config, const Layout& layout,
                    int rank, DeviceType device = DeviceType::kMeta) {
  const parallel::Mesh mesh = test::Value(test::MeshOf(layout));
  return test::Value(EstimateMemory(config, mesh, rank, device));
}

// What a run on this CPU should take, its kernels' workspaces too.
double PeakOnCpu(const train::EngineConfig& config, const Layout& layout,
                 int rank) {
  return static_cast<double>(
      Estimate(config, layout, rank, DeviceType::kCpu).peak());
}

// What the allocator of each rank counted in a run of two steps.
std::vector<int64_t> PeaksOfARun(const train::EngineConfig& config,
                                 const Layout& layout) {
  std::mutex mutex;
  std::vector<int64_t> peaks(layout.ranks());
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, /*threads=*/1, [&](comm::World& world) {
        return test::WithEngine(
            world, layout, config, [&](train::Engine& engine) -> absl::Status {
              for (int step = 0; step < 2; ++step) {
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
              }
              std::lock_guard<std::mutex> lock(mutex);
              peaks[world.rank()] = world.device().memory().peak_bytes_in_use;
              return absl::OkStatus();
            });
      }));
  return peaks;
}

// Where the CPU has no 16-bit products, operands are copied into f32.
TEST(EstimateTest, WorkspacesOfTheCpuCount) {
  for (const char* family : {"gpt", "llama"}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      train::EngineConfig config = MiddleConfig(family);
      config.model.ffn_hidden = 1024;
      config.model.vocab = 3000;
      config.update.compute_dtype = dtype;
      const parallel::Mesh mesh = test::Value(test::MeshOf({}));
      const RankMemory said =
          test::Value(EstimateMemory(config, mesh, 0, DeviceType::kCpu));
      const auto peak = static_cast<double>(PeaksOfARun(config, {})[0]);
      EXPECT_NEAR(static_cast<double>(said.peak()) / peak, 1, 0.01)
          << family << " " << Name(dtype);
    }
  }
}

// Gradients on their way lie in a pool of their own, whose peak is not that of
// the rest.
TEST(EstimateTest, WhatRanksOfCpusShareStaysTaken) {
  train::EngineConfig config = MiddleConfig("gpt");
  config.update.zero.zero = 2;
  const parallel::Mesh mesh = test::Value(test::MeshOf({.data = 2}));
  const auto peak = [&](DeviceType device) {
    return test::Value(EstimateMemory(config, mesh, 0, device)).peak();
  };
  EXPECT_GT(peak(DeviceType::kCpu),
            peak(DeviceType::kMeta) + config.update.bucket_bytes / 2);
}

TEST(EstimateTest, KindsAreThoseOfTheParameters) {
  train::EngineConfig config = MiddleConfig("gpt");
  const int64_t parameters = models::ParameterCount(config.model);
  const RankMemory f32 = Estimate(config, {}, 0);
  EXPECT_EQ(f32.parameters, parameters);
  // With the gaps that alignment leaves.
  const auto about = [&](int64_t bytes, int64_t each) {
    EXPECT_GE(bytes, each * parameters);
    EXPECT_LE(bytes, each * parameters * 1.05);
  };
  about(f32.weights, 4);
  EXPECT_EQ(f32.masters, 0);
  about(f32.gradients, 4);
  about(f32.optimizer, 8);

  config.update.compute_dtype = DType::kBF16;
  const RankMemory bf16 = Estimate(config, {}, 0);
  about(bf16.weights, 2);
  EXPECT_EQ(bf16.masters, f32.weights);
  EXPECT_EQ(bf16.gradients, f32.gradients);
  EXPECT_LT(bf16.activations, f32.activations);

  config.update.optimizer.name = "sgd";
  EXPECT_EQ(Estimate(config, {}, 0).optimizer, 0);
  config.update.optimizer.name = "lion";
  EXPECT_EQ(Estimate(config, {}, 0).optimizer, bf16.optimizer / 2);
  config.update.optimizer.average_decay = 0.9;
  EXPECT_EQ(Estimate(config, {}, 0).optimizer, bf16.optimizer);
  // Of matrices a half, of tables all.
  config.update.optimizer.average_decay = 0;
  config.update.optimizer.name = "muon";
  const int64_t muon = Estimate(config, {}, 0).optimizer;
  EXPECT_GT(muon, bf16.optimizer / 2);
  EXPECT_LT(muon, bf16.optimizer);
}

// With what Muon makes of a matrix meanwhile.
TEST(EstimateTest, APeakOfMuonIsThatOfARun) {
  train::EngineConfig config = MiddleConfig("llama");
  config.update.optimizer.name = "muon";
  config.update.optimizer.momentum = 0.95;
  config.update.optimizer.average_decay = 0.9;
  for (const int zero : {0, 1}) {
    config.update.zero.zero = zero;
    const Layout layout{2, 1, 1};
    const std::vector<int64_t> peaks = PeaksOfARun(config, layout);
    for (int rank = 0; rank < layout.ranks(); ++rank) {
      const double estimate = PeakOnCpu(config, layout, rank);
      EXPECT_NEAR(estimate / peaks[rank], 1, 0.05) << zero << " " << rank;
    }
  }
}

TEST(EstimateTest, ActivationsFollowTheProgram) {
  train::EngineConfig config = MiddleConfig("gpt");
  const RankMemory plain = Estimate(config, {}, 0);
  const Layout staged{1, 1, 2};
  const RankMemory first = Estimate(config, staged, 0);
  // The first of two stages has twice as many micro-batches in flight.
  EXPECT_GT(first.activations, Estimate(config, staged, 1).activations * 1.2);
  // All four instead of two, beside what is there once.
  config.pipeline_schedule = "gpipe";
  EXPECT_GT(Estimate(config, staged, 0).activations, first.activations * 1.5);
  config.pipeline_schedule = "1f1b";
  config.recompute = nn::Recompute::kBlock;
  EXPECT_LT(Estimate(config, {}, 0).activations, plain.activations * 0.7);
  EXPECT_EQ(Estimate(config, {}, 0).weights, plain.weights);
}

TEST(EstimateTest, ARunTakesWhatWasEstimated) {
  for (const char* family : {"gpt", "llama"}) {
    for (const nn::Recompute recompute :
         {nn::Recompute::kNothing, nn::Recompute::kSelective,
          nn::Recompute::kBlock}) {
      train::EngineConfig config = MiddleConfig(family);
      config.recompute = recompute;
      for (const Layout& layout :
           {Layout{}, Layout{1, 2, 1}, Layout{1, 1, 2}}) {
        const std::vector<int64_t> peaks = PeaksOfARun(config, layout);
        for (int rank = 0; rank < layout.ranks(); ++rank) {
          const double estimate = PeakOnCpu(config, layout, rank);
          EXPECT_NEAR(estimate / peaks[rank], 1, 0.04)
              << family << " " << layout.ToString() << " rank " << rank;
        }
      }
    }
  }
}

// Between projections a rank keeps its tokens alone: of each block two sums, of
// each norm of tokens its mean and deviation.
TEST(EstimateTest, TensorRanksThatDivideTokensKeepTheirs) {
  train::EngineConfig config = MiddleConfig("gpt");
  config.pipeline_schedule = "gpipe";  // all micro-batches, on either stage
  for (const Layout& layout : {Layout{1, 2, 1}, Layout{1, 4, 1}}) {
    config.global_batch = 2;
    config.sequence = true;
    const RankMemory divided = Estimate(config, layout, 0);
    config.sequence = false;
    const RankMemory whole = Estimate(config, layout, 0);
    const int64_t numbers = config.micro_batch * config.model.context *
                            config.model.hidden * 2 * config.model.layers;
    const double kept = 4.0 * static_cast<double>(numbers) *
                        (layout.tensor - 1) / layout.tensor;
    const auto saved =
        static_cast<double>(whole.activations - divided.activations);
    EXPECT_GT(saved, 0.9 * kept) << layout.ToString();
    EXPECT_LT(saved, 1.5 * kept) << layout.ToString();
    EXPECT_EQ(divided.weights, whole.weights);
  }
}

TEST(EstimateTest, RecomputedBlocksKeepLess) {
  train::EngineConfig config = MiddleConfig("gpt");
  std::vector<int64_t> activations;
  const auto add = [&](nn::Recompute recompute, int64_t layers) {
    config.recompute = recompute;
    config.recompute_layers = layers;
    activations.push_back(Estimate(config, {}, 0).activations);
  };
  constexpr int64_t kAll = models::TransformerOptions::kAllBlocks;
  add(nn::Recompute::kNothing, kAll);
  for (const int64_t layers : {int64_t{1}, int64_t{2}, kAll}) {
    add(nn::Recompute::kSelective, layers);
    EXPECT_LT(activations.back(), activations.end()[-2]) << layers;
  }
  add(nn::Recompute::kBlock, kAll);
  EXPECT_LT(activations.back(), 0.7 * activations.front());
}

// Of state, where all but what parts are padded by is divided evenly.
TEST(EstimateTest, RanksThatDivideHoldTheirPart) {
  train::EngineConfig config = MiddleConfig("gpt");
  const auto numbers =
      static_cast<double>(models::ParameterCount(config.model));
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    config.update.compute_dtype = compute;
    const double weights = compute == DType::kF32 ? 4 : 2;
    const double masters = compute == DType::kF32 ? 0 : 4;
    for (const int data : {2, 4}) {
      for (int zero = 0; zero <= 3; ++zero) {
        config.update.zero.zero = zero;
        const RankMemory memory = Estimate(config, {data, 1, 1}, 0);
        const auto part = [&](int from) { return zero >= from ? data : 1; };
        const auto about = [&](int64_t bytes, double each) {
          EXPECT_GE(bytes, each * numbers) << zero;
          EXPECT_LE(bytes, each * numbers * 1.05) << zero;
        };
        // Where weights are masters and whole, both are what weights are.
        about(memory.weights, weights / part(3));
        about(memory.masters, masters / part(1));
        about(memory.gradients, 4.0 / part(2));
        about(memory.optimizer, 8.0 / part(1));
      }
    }
  }
}

TEST(EstimateTest, RanksThatDivideTakeWhatWasEstimated) {
  for (const Layout& layout : {Layout{2, 1, 1}, Layout{4, 1, 1}}) {
    train::EngineConfig config = MiddleConfig("gpt");
    // Buckets that are small beside the whole: some are there for a while.
    config.model.layers = 10;
    config.model.context = 16;
    config.model.vocab = 101;
    config.update.bucket_bytes = 1 << 15;
    config.micro_batch = 1;
    int64_t before = std::numeric_limits<int64_t>::max();
    for (int zero = 0; zero <= 3; ++zero) {
      config.update.zero.zero = zero;
      const std::vector<int64_t> peaks = PeaksOfARun(config, layout);
      for (int rank = 0; rank < layout.ranks(); ++rank) {
        const double estimate = PeakOnCpu(config, layout, rank);
        EXPECT_NEAR(estimate / peaks[rank], 1, 0.05)
            << layout.ToString() << " zero=" << zero << " rank " << rank;
      }
      EXPECT_LT(peaks[0], before) << zero;
      before = peaks[0];
    }
  }
}

TEST(EstimateTest, TellsWhatCheckpointsTakeOfTheHost) {
  const train::EngineConfig config = MiddleConfig("gpt");
  const Layout layout{2, 2, 1};
  EISBACH_ASSERT_OK(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, layout, config, [&](train::Engine& engine) -> absl::Status {
              EISBACH_RETURN_IF_ERROR(
                  engine.saves().Prepare({.asynchronous = true}));
              const int64_t saving =
                  Estimate(config, layout, world.rank()).saving;
              EXPECT_EQ(saving, engine.saves().staging_bytes());
              EXPECT_EQ(saving > 0, engine.context().index(Axis::kData) == 0);
              return absl::OkStatus();
            });
      }));
}

TEST(EstimateTest, LargeModelsAreEstimatedAsWell) {
  train::EngineConfig config = test::ToyConfig("llama");
  config.model.layers = 80;
  config.model.hidden = 8192;
  config.model.heads = 64;
  config.model.kv_heads = 8;
  config.model.head_dim = 128;
  config.model.ffn_hidden = 28672;
  config.model.context = 4096;
  config.model.vocab = 128256;
  config.update.compute_dtype = DType::kBF16;
  config.global_batch = 16;
  const RankMemory memory = Estimate(config, Layout{2, 8, 4}, 0);
  // A 32nd of 70.6 billion, and the table of the first stage.
  EXPECT_NEAR(memory.parameters / 2.2e9, 1, 0.1);
  EXPECT_GT(memory.activations, int64_t{1} << 30);
}

TEST(EstimateTest, WhatDoesNotFitIsAnError) {
  train::EngineConfig config = MiddleConfig("gpt");
  config.global_batch = 3;
  const parallel::Mesh mesh = test::Value(test::MeshOf(Layout{}));
  EXPECT_EQ(EstimateMemory(config, mesh, 0).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace eisbach::plan::estimate_test
