#include "checkpoint/saver.h"

#include <filesystem>
#include <set>

#include "checkpoint/folder.h"
#include "checkpoint/read_manifest.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::saver_test {
namespace {

using test::Layout;
using test::StatusIs;
using test::Value;

constexpr SaverConfig kBehind{.asynchronous = true, .bytes_per_file = 0};

// The bytes that a rank has after it loaded a checkpoint.
std::string Loaded(const std::string& path, const Layout& layout,
                   const train::EngineConfig& config, int wanted) {
  std::string bytes;
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, config, [&](train::Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(test::LoadEngine(path, engine));
        if (rank == wanted) bytes = test::BytesOf(engine);
        return absl::OkStatus();
      }));
  return bytes;
}

TEST(Saver, WritesBehindTrainingWhatWasThereWhenItBegan) {
  for (const Layout& layout : {Layout{1, 1, 1}, Layout{2, 2, 1}}) {
    for (const DType compute : {DType::kF32, DType::kF16}) {
      const test::TempFolder temp;
      train::EngineConfig config = test::SmallConfig("llama");
      config.update.compute_dtype = compute;
      std::string before;
      int ended = 0;
      EISBACH_ASSERT_OK(test::OnEngines(
          layout, config, [&](train::Engine& engine, int rank) -> absl::Status {
            EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
            train::Saves& saves = engine.saves();
            EISBACH_RETURN_IF_ERROR(saves.Prepare(kBehind));
            EXPECT_GT(saves.staging_bytes(), 0);
            if (rank == 0) before = test::BytesOf(engine);
            EISBACH_RETURN_IF_ERROR(
                saves.Begin({temp.path(), test::kConfig, test::kState}));
            // It ends in the result of some step, the same on all ranks.
            while (saves.busy()) {
              EISBACH_ASSIGN_OR_RETURN(const train::StepResult result,
                                       test::ToyStep(engine));
              if (!result.saved) continue;
              EISBACH_RETURN_IF_ERROR(result.saved->status);
              EXPECT_EQ(result.saved->path, StepFolder(temp.path(), 1));
              EXPECT_GE(result.step, 3);  // one to write, one to name
              if (rank == 0) ended = static_cast<int>(result.step);
            }
            if (rank == 0) {
              EXPECT_NE(test::BytesOf(engine), before);
            }
            return absl::OkStatus();
          }));
      EXPECT_GT(ended, 0);
      const std::string folder = StepFolder(temp.path(), 1);
      EXPECT_EQ(Loaded(folder, layout, config, 0), before);
      const ManifestText text = Value(ReadManifest(folder));
      EXPECT_EQ(text.manifest.files.size(), layout.ranks());
    }
  }
}

TEST(Saver, DividesFilesAmongReplicasWhereTheyAreLarge) {
  const train::EngineConfig config = test::SmallConfig("gpt");
  const struct {
    int64_t bytes_per_file;
    std::set<std::string> names;
  } kCases[] = {{int64_t{1} << 40,
                 {"pipeline-0-tensor-0-data-0.safetensors",
                  "pipeline-1-tensor-0-data-0.safetensors"}},
                {0,
                 {"pipeline-0-tensor-0-data-0.safetensors",
                  "pipeline-0-tensor-0-data-1.safetensors",
                  "pipeline-1-tensor-0-data-0.safetensors",
                  "pipeline-1-tensor-0-data-1.safetensors"}}};
  for (const auto& [bytes_per_file, names] : kCases) {
    const test::TempFolder temp;
    std::string before;
    EISBACH_ASSERT_OK(test::OnEngines(
        {2, 1, 2}, config,
        [&, bytes_per_file = bytes_per_file](train::Engine& engine,
                                             int rank) -> absl::Status {
          EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
          EISBACH_RETURN_IF_ERROR(
              engine.saves().Prepare({.bytes_per_file = bytes_per_file}));
          EISBACH_RETURN_IF_ERROR(
              engine.saves().Begin({temp.path(), test::kConfig, test::kState}));
          if (rank == 0) before = test::BytesOf(engine);
          return engine.saves().Finish()->status;
        }));
    const std::string folder = StepFolder(temp.path(), 1);
    std::set<std::string> found;
    int64_t largest = 0, all = 0;
    for (const ManifestFile& file :
         Value(ReadManifest(folder)).manifest.files) {
      found.insert(file.name);
      largest = std::max(largest, static_cast<int64_t>(file.bytes));
      all += static_cast<int64_t>(file.bytes);
    }
    EXPECT_EQ(found, names);
    EXPECT_LT(largest * static_cast<int64_t>(names.size()), 2 * all);
    EXPECT_EQ(Loaded(folder, {2, 1, 2}, config, 0), before);
    EXPECT_FALSE(Loaded(folder, {1, 3, 1}, config, 2).empty());
  }
}

TEST(Saver, EachCheckpointNamesTheOneBefore) {
  const test::TempFolder temp;
  EISBACH_ASSERT_OK(test::OnEngines(
      {2, 1, 1}, test::SmallConfig("gpt"),
      [&](train::Engine& engine, int) -> absl::Status {
        for (int i = 0; i < 3; ++i) {
          EISBACH_RETURN_IF_ERROR(engine.saves().Begin({temp.path()}));
          EISBACH_RETURN_IF_ERROR(engine.saves().Finish()->status);
          EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        }
        return absl::OkStatus();
      }));
  std::optional<ManifestId> before;
  for (int step = 0; step < 3; ++step) {
    const Manifest manifest =
        Value(ReadManifest(StepFolder(temp.path(), step))).manifest;
    EXPECT_EQ(manifest.parent, before);
    before = manifest.id();
  }
}

TEST(Saver, FailsOnAllRanksAndTheNextSaveWorks) {
  for (const bool asynchronous : {false, true}) {
    const test::TempFolder temp;
    EISBACH_ASSERT_OK(test::OnEngines(
        {2, 2, 1}, test::SmallConfig("gpt"),
        [&](train::Engine& engine, int rank) -> absl::Status {
          train::Saves& saves = engine.saves();
          EISBACH_RETURN_IF_ERROR(saves.Prepare(
              {.asynchronous = asynchronous, .bytes_per_file = 0}));
          // The last rank cannot write: it has a slice twice.
          Parameter* up = nullptr;
          for (Parameter* parameter : engine.update().parameters()) {
            if (parameter->spec().name == "blocks.0.mlp.up.weight") {
              up = parameter;
            }
          }
          ParamSpec& spec = up->mutable_spec();
          const ParamSpec good = spec;
          if (rank == 3) {
            spec.slices.erase(spec.slices.begin() + 1, spec.slices.end());
            spec.slices.push_back(spec.slices[0]);
          }
          EISBACH_RETURN_IF_ERROR(saves.Begin({temp.path()}));
          EXPECT_TRUE(saves.busy());
          EXPECT_THAT(saves.Begin({temp.path()}),
                      StatusIs(absl::StatusCode::kFailedPrecondition,
                               "step 0 is still being saved"));
          const std::optional<SaveOutcome> outcome = saves.Finish();
          EXPECT_FALSE(outcome->status.ok());
          EXPECT_THAT(outcome->status,
                      StatusIs(outcome->status.code(), "save step 0: rank 3"));
          EXPECT_EQ(outcome->path, "");
          EXPECT_FALSE(saves.busy());
          EXPECT_FALSE(saves.Finish().has_value());
          spec = good;
          if (rank == 0) {
            EXPECT_TRUE(std::filesystem::is_empty(temp.path()));
          }
          EISBACH_RETURN_IF_ERROR(saves.Begin({temp.path()}));
          return saves.Finish()->status;
        }));
    EXPECT_EQ(Value(LatestCheckpoint(temp.path())), StepFolder(temp.path(), 0));
  }
}

TEST(Saver, KeepsToItsShareOfTheDiskAndGivesUpAtOnce) {
  const test::TempFolder temp;
  EISBACH_ASSERT_OK(test::OnEngines(
      {1, 1, 1}, test::SmallConfig("gpt"),
      [&](train::Engine& engine, int) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(engine.saves().Prepare(
            {.asynchronous = true, .bytes_per_second = 1}));
        EISBACH_RETURN_IF_ERROR(engine.saves().Begin({temp.path()}));
        // A day's work, which is not done after a few steps.
        for (int i = 0; i < 3; ++i) {
          EISBACH_ASSIGN_OR_RETURN(const train::StepResult result,
                                   test::ToyStep(engine));
          EXPECT_FALSE(result.saved.has_value());
        }
        EXPECT_TRUE(engine.saves().busy());
        return absl::OkStatus();
      }));
  EXPECT_EQ(Value(LatestCheckpoint(temp.path())), std::nullopt);
  EXPECT_TRUE(std::filesystem::is_empty(UnfinishedFolder(temp.path(), 0)));
}

}  // namespace
}  // namespace eisbach::checkpoint::saver_test
