// Save and load together: a run that stops and goes on is the unbroken run.

#include "checkpoint/folder.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::resume_test {
namespace {

using test::Layout;

constexpr int kSaved = 3, kSteps = 6;

// What a rank saw: the steps' results and its bytes at the end.
struct Trace {
  std::vector<double> losses, norms, loss_scales;
  std::string bytes;
};
using Traces = std::vector<Trace>;  // by rank

absl::Status TrainTo(int step, train::Engine& engine, Trace& trace) {
  while (engine.update().step() < step) {
    EISBACH_ASSIGN_OR_RETURN(const train::StepResult result,
                             test::ToyStep(engine));
    trace.losses.push_back(result.loss);
    trace.norms.push_back(result.grad_norm);
    trace.loss_scales.push_back(result.loss_scale);
  }
  trace.bytes = test::BytesOf(engine);
  return absl::OkStatus();
}

Traces Unbroken(const Layout& layout, const train::EngineConfig& config) {
  Traces traces(layout.ranks());
  EISBACH_EXPECT_OK(
      test::OnEngines(layout, config, [&](train::Engine& engine, int rank) {
        return TrainTo(kSteps, engine, traces[rank]);
      }));
  return traces;
}

// Trains, saves, throws everything away, loads and goes on.
Traces Resumed(const Layout& layout, const train::EngineConfig& config) {
  const test::TempFolder temp;
  Traces traces(layout.ranks());
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, config, [&](train::Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(TrainTo(kSaved, engine, traces[rank]));
        EISBACH_ASSIGN_OR_RETURN(const std::string path,
                                 test::SaveEngine(temp.path(), engine));
        EXPECT_EQ(path, StepFolder(temp.path(), kSaved));
        EXPECT_EQ(test::BytesOf(engine), traces[rank].bytes);
        return absl::OkStatus();
      }));
  EXPECT_EQ(temp.Entries(), 1);
  const auto path = test::Value(LatestCheckpoint(temp.path()));
  EXPECT_TRUE(path.has_value());
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, config, [&](train::Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(test::LoadEngine(path.value_or(""), engine));
        EXPECT_EQ(test::BytesOf(engine), traces[rank].bytes)
            << "replicas, padding and all, on rank " << rank;
        return TrainTo(kSteps, engine, traces[rank]);
      }));
  return traces;
}

void ExpectResumesBitwise(const Layout& layout,
                          const train::EngineConfig& config) {
  SCOPED_TRACE(config.model.family + " " + layout.ToString());
  const Traces want = Unbroken(layout, config);
  const Traces got = Resumed(layout, config);
  for (int rank = 0; rank < layout.ranks(); ++rank) {
    ASSERT_EQ(want[rank].losses.size(), kSteps);
    EXPECT_EQ(got[rank].losses, want[rank].losses) << "rank " << rank;
    EXPECT_EQ(got[rank].norms, want[rank].norms) << "rank " << rank;
    EXPECT_EQ(got[rank].loss_scales, want[rank].loss_scales) << "rank " << rank;
    EXPECT_EQ(got[rank].bytes, want[rank].bytes) << "rank " << rank;
  }
}

TEST(Resume, IsBitwiseTheUnbrokenRunOnEveryLayout) {
  for (const char* family : {"gpt", "llama"}) {
    train::EngineConfig config = test::SmallConfig(family);
    config.model.dropout = 0.1f;  // its bits depend on the step
    config.update.schedule.name = "cosine";
    config.update.schedule.min_learning_rate = 1e-5;
    config.update.schedule.total_steps = 8;
    for (const Layout& layout : test::kLayouts) {
      ExpectResumesBitwise(layout, config);
    }
  }
}

TEST(Resume, KeepsMastersThatTheComputeTypeRounds) {
  train::EngineConfig config = test::SmallConfig("llama");
  config.update.compute_dtype = DType::kBF16;
  config.recompute = nn::Recompute::kBlock;
  ExpectResumesBitwise({1, 2, 2}, config);
}

TEST(Resume, KeepsTheRandomRoundingOfTheComputeType) {
  train::EngineConfig config = test::SmallConfig("llama");
  config.update.compute_dtype = DType::kBF16;
  config.update.optimizer.stochastic_rounding = true;
  ExpectResumesBitwise({1, 1, 1}, config);
  ExpectResumesBitwise({2, 2, 2}, config);
}

// Saved between two changes of the scale, of which the second depends on steps
// before.
TEST(Resume, KeepsTheLossScale) {
  train::EngineConfig config = test::SmallConfig("gpt");
  config.update.compute_dtype = DType::kF16;
  config.update.initial_loss_scale = 512;
  config.update.loss_scale_window = 2;
  for (const Layout& layout : {Layout{1, 1, 1}, Layout{2, 1, 2}}) {
    ExpectResumesBitwise(layout, config);
    const Traces traces = Unbroken(layout, config);
    EXPECT_EQ(traces[0].loss_scales,
              (std::vector<double>{512, 512, 1024, 1024, 2048, 2048}));
  }
}

TEST(Resume, KeepsTheStateOfEveryOptimizer) {
  train::EngineConfig config = test::SmallConfig("gpt");
  config.update.optimizer.name = "sgd";
  ExpectResumesBitwise({2, 1, 2}, config);
  config.update.optimizer.momentum = 0.9;
  ExpectResumesBitwise({1, 2, 1}, config);
  config.update.optimizer.average_decay = 0.9;
  config.update.optimizer.name = "lion";
  ExpectResumesBitwise({2, 1, 1}, config);
  config.update.optimizer.name = "muon";
  ExpectResumesBitwise({1, 2, 2}, config);
}

}  // namespace
}  // namespace eisbach::checkpoint::resume_test
