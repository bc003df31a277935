#include "checkpoint/save.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "checkpoint/folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/saved_slice.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::save_test {
namespace {

using test::Layout;
using test::StatusIs;
using test::Value;

TEST(Save, WritesEveryLogicalElementOnce) {
  const test::TempFolder temp;
  const train::EngineConfig config = test::SmallConfig("llama");
  const Layout layout{2, 2, 2};
  std::vector<LogicalTensor> tensors;
  EISBACH_ASSERT_OK(test::OnEngines(
      layout, config, [&](train::Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        EISBACH_ASSIGN_OR_RETURN(
            auto gathered,
            GatherParameters(engine.update().parameters(),
                             ParameterValue::kMaster, engine.context()));
        if (rank == 0) tensors = std::move(gathered);
        return test::SaveEngine(temp.path(), engine).status();
      }));
  const std::string folder = StepFolder(temp.path(), 1);
  EISBACH_ASSERT_OK_AND_ASSIGN(
      const Manifest manifest,
      ParseManifest(test::ReadFile(folder + "/manifest.json")));
  EXPECT_EQ(manifest.step, 1);
  EXPECT_EQ(manifest.optimizer_state, (std::vector<std::string>{"m", "v"}));
  EXPECT_EQ(manifest.config, test::kConfig);
  ASSERT_EQ(manifest.files.size(), 4);
  std::vector<SafetensorsFile> files;
  for (const ManifestFile& file : manifest.files) {
    files.push_back(Value(SafetensorsFile::Open(folder + "/" + file.name)));
  }
  for (const LogicalTensor& tensor : tensors) {
    for (const char* part : {"", "m", "v"}) {
      Coverage coverage(WholeBox(tensor.shape));
      std::vector<float> values(tensor.values.size());
      for (const SafetensorsFile& file : files) {
        for (const SavedSlice& slice : Value(ReadSlices(file))) {
          if (slice.name != tensor.name || slice.part != part) continue;
          EISBACH_EXPECT_OK(coverage.Add(slice.box)) << slice.Key();
          CopyBox(slice.box, slice.box,
                  file.Bytes(*file.Find(slice.Key())).data(),
                  WholeBox(tensor.shape), values.data());
        }
      }
      EXPECT_TRUE(coverage.complete()) << part << " " << tensor.name;
      if (*part == '\0') {
        EXPECT_EQ(values, tensor.values) << tensor.name;
      }
    }
  }
}

TEST(Save, NamesTensorsByLogicalName) {
  const test::TempFolder temp;
  EISBACH_ASSERT_OK(test::OnEngines(
      {1, 2, 1}, test::SmallConfig("gpt"), [&](train::Engine& engine, int) {
        return test::SaveEngine(temp.path(), engine).status();
      }));
  EISBACH_ASSERT_OK_AND_ASSIGN(
      const SafetensorsFile file,
      SafetensorsFile::Open(StepFolder(temp.path(), 0) +
                            "/pipeline-0-tensor-1-data-0.safetensors"));
  EISBACH_EXPECT_OK(file.Bytes("blocks.0.attention.query.weight@12,0",
                               DType::kF32, {12, 24}));
  EISBACH_EXPECT_OK(
      file.Bytes("blocks.0.mlp.down.weight@0,18", DType::kF32, {24, 18}));
  EISBACH_EXPECT_OK(
      file.Bytes("optimizer.m/blocks.2.mlp.up.bias@18", DType::kF32, {18}));
  // 29 tokens: 15 here, 14 there, and no padding.
  EISBACH_EXPECT_OK(
      file.Bytes("embedding.token.weight@15,0", DType::kF32, {14, 24}));
  // A replica is the other rank's.
  EXPECT_EQ(file.Find("final_norm.weight"), nullptr);
}

TEST(Save, FailsOnAllRanksAndLeavesNothing) {
  const test::TempFolder temp;
  EISBACH_ASSERT_OK(test::OnEngines(
      {2, 2, 1}, test::SmallConfig("gpt"),
      [&](train::Engine& engine, int rank) -> absl::Status {
        const auto save = [&](const SaveRequest& request) {
          return Save(request, engine.update().buffer(),
                      engine.update().optimizer(), engine.context());
        };
        const std::string root = temp.File("run");
        EXPECT_THAT(save({root, -1, "{}", "{}"}),
                    StatusIs(absl::StatusCode::kInvalidArgument, "step=-1"));
        EXPECT_THAT(save({root, 1, "nonsense", "{}"}),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             "save step 1: rank 0: config is not"));
        if (rank == 0) test::WriteFile(temp.File("file"), "x");
        EXPECT_FALSE(save({temp.File("file"), 1, "{}", "{}"}).ok());

        // One rank that writes cannot: it has a slice twice.
        Parameter* up = nullptr;
        for (Parameter* parameter : engine.update().parameters()) {
          if (parameter->spec().name == "blocks.0.mlp.up.weight") {
            up = parameter;
          }
        }
        ParamSpec& spec = up->mutable_spec();
        const ParamSpec good = spec;
        if (rank == 1) spec.slices.push_back(spec.slices[0]);
        EXPECT_THAT(save({root, 1, "{}", "{}"}),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             "save step 1: rank 1: tensor "
                             "\"blocks.0.mlp.up.weight@18,0\" is given twice"));
        spec = good;
        EXPECT_FALSE(std::filesystem::exists(StepFolder(root, 1)));
        if (rank == 0) {
          EXPECT_FALSE(std::filesystem::exists(UnfinishedFolder(root, 1)));
        }

        // What a killed run left is no obstacle.
        if (rank == 0) {
          EISBACH_EXPECT_OK(MakeEmptyFolder(UnfinishedFolder(root, 1)));
          test::WriteFile(UnfinishedFolder(root, 1) + "/old", "x");
        }
        EISBACH_EXPECT_OK(save({root, 1, "{}", "{}"}));
        EXPECT_FALSE(std::filesystem::exists(StepFolder(root, 1) + "/old"));
        EXPECT_THAT(save({root, 1, "{}", "{}"}),
                    StatusIs(absl::StatusCode::kAlreadyExists,
                             "step-00000001 is already there"));
        return absl::OkStatus();
      }));
  EXPECT_EQ(Value(LatestCheckpoint(temp.File("run"))),
            StepFolder(temp.File("run"), 1));
}

TEST(Save, HasNothingToSaveOnMeta) {
  EISBACH_ASSERT_OK_AND_ASSIGN(auto world,
                               comm::SimWorld(0, 1, DeviceType::kMeta));
  EISBACH_EXPECT_OK(test::WithEngine(
      *world, {}, test::SmallConfig("gpt"), [](train::Engine& engine) {
        EXPECT_THAT(test::SaveEngine("nowhere", engine),
                    StatusIs(absl::StatusCode::kFailedPrecondition, "meta"));
        EXPECT_THAT(test::LoadEngine("nowhere", engine),
                    StatusIs(absl::StatusCode::kFailedPrecondition, "meta"));
        EXPECT_THAT(GatherParameters(engine.update().parameters(),
                                     ParameterValue::kMaster, engine.context()),
                    StatusIs(absl::StatusCode::kFailedPrecondition, "meta"));
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::checkpoint::save_test
