// The average of the weights: what it is on every layout, and in checkpoints.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "checkpoint/folder.h"
#include "checkpoint/read_weights.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::train::average_test {
namespace {

using test::Layout;

constexpr double kDecay = 0.7;
constexpr int kSteps = 4;

using Weights = std::map<std::string, std::vector<double>>;

// Whole masters, on rank 0.
absl::StatusOr<Weights> Masters(Engine& engine) {
  EISBACH_ASSIGN_OR_RETURN(
      const auto tensors,
      checkpoint::GatherParameters(engine.update().parameters(),
                                   checkpoint::ParameterValue::kMaster,
                                   engine.context()));
  Weights weights;
  for (const checkpoint::LogicalTensor& tensor : tensors) {
    weights[tensor.name] = {tensor.values.begin(), tensor.values.end()};
  }
  return weights;
}

// Trains, saves half-way, goes on from there on `other`, and compares what is
// saved in the end with what masters were, step by step.
void ExpectAverages(const EngineConfig& config, const Layout& layout,
                    const Layout& other) {
  const std::string what =
      absl::StrCat(config.update.optimizer.name, " ", layout.ToString(), " to ",
                   other.ToString());
  SCOPED_TRACE(what);
  const test::TempFolder temp;
  Weights average;
  const auto train = [&](Engine& engine, int rank, int until) -> absl::Status {
    while (engine.update().step() < until) {
      EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
      EISBACH_ASSIGN_OR_RETURN(const Weights now, Masters(engine));
      if (rank != 0) continue;
      for (const auto& [name, values] : now) {
        for (size_t i = 0; i < values.size(); ++i) {
          double& mean = average[name][i];
          mean = kDecay * mean + (1 - kDecay) * values[i];
        }
      }
    }
    return test::SaveEngine(temp.path(), engine).status();
  };
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, config, [&](Engine& engine, int rank) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const Weights first, Masters(engine));
        if (rank == 0) average = first;
        return train(engine, rank, kSteps / 2);
      }));
  EISBACH_EXPECT_OK(test::OnEngines(
      other, config, [&](Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(test::LoadEngine(
            checkpoint::StepFolder(temp.path(), kSteps / 2), engine));
        return train(engine, rank, kSteps);
      }));
  const std::string saved = checkpoint::StepFolder(temp.path(), kSteps);
  EISBACH_ASSERT_OK_AND_ASSIGN(
      const checkpoint::SavedWeights got,
      checkpoint::ReadWeights(saved, /*average=*/true));
  EISBACH_ASSERT_OK_AND_ASSIGN(const checkpoint::SavedWeights plain,
                               checkpoint::ReadWeights(saved));
  ASSERT_EQ(got.tensors.size(), average.size());
  ASSERT_EQ(plain.tensors.size(), average.size());
  double apart = 0;
  for (size_t t = 0; t < got.tensors.size(); ++t) {
    const checkpoint::LogicalTensor& tensor = got.tensors[t];
    const std::vector<double>& want = average.at(tensor.name);
    ASSERT_EQ(tensor.values.size(), want.size()) << tensor.name;
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(tensor.values[i], want[i], 1e-6 * (1 + std::abs(want[i])))
          << tensor.name << " " << i;
      apart = std::max(apart, std::abs(want[i] - plain.tensors[t].values[i]));
    }
  }
  EXPECT_GT(apart, 1e-4);
}

EngineConfig Config(const char* family) {
  EngineConfig config = test::SmallConfig(family);
  config.update.optimizer.average_decay = kDecay;
  config.update.schedule.learning_rate = 0.01;
  return config;
}

TEST(AverageTest, IsThatOfTheMastersOnEveryLayout) {
  EngineConfig config = Config("gpt");
  ExpectAverages(config, {1, 1, 1}, {2, 2, 1});
  config.update.compute_dtype = DType::kBF16;
  ExpectAverages(config, {2, 1, 2}, {1, 2, 1});
  config = Config("llama");
  config.update.zero.zero = 1;
  config.update.optimizer.name = "muon";
  config.update.optimizer.momentum = 0.95;
  ExpectAverages(config, {2, 2, 1}, {2, 1, 2});
  config.update.zero.zero = 3;
  ExpectAverages(config, {2, 1, 1}, {4, 1, 1});
}

// What is not trained has none, and is what it is.
TEST(AverageTest, OfWhatIsFrozenThereIsNone) {
  EngineConfig config = Config("gpt");
  config.update.optimizer.groups = {
      {.patterns = {"blocks.[01].*"}, .frozen = true}};
  ExpectAverages(config, {1, 1, 1}, {2, 1, 1});
}

TEST(AverageTest, IsMissedWhereNoneWasKept) {
  const test::TempFolder temp;
  test::SaveOn({1, 1, 1}, "gpt", temp.path());
  const std::string saved = checkpoint::StepFolder(temp.path(), 1);
  EXPECT_THAT(checkpoint::ReadWeights(saved, /*average=*/true),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "no average of the weights was kept"));
  EISBACH_EXPECT_OK(test::OnEngines(
      {1, 1, 1}, Config("gpt"), [&](Engine& engine, int) -> absl::Status {
        EXPECT_THAT(test::LoadEngine(saved, engine),
                    test::StatusIs(absl::StatusCode::kInvalidArgument,
                                   "m, v; this run's optimizer has: m, v, ema "
                                   "(optimizer.name; ema: train.ema)"));
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::train::average_test
