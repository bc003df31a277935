#include "checkpoint/load.h"

#include <cstring>
#include <filesystem>
#include <limits>
#include <map>

#include "absl/strings/str_replace.h"
#include "checkpoint/agree.h"
#include "checkpoint/folder.h"
#include "checkpoint/manifest.h"
#include "core/content_hash.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::load_test {
namespace {

using test::Layout;
using test::StatusIs;

const Layout kLayout{2, 2, 1};

class LoadTest : public testing::Test {
 protected:
  void SetUp() override {
    EISBACH_ASSERT_OK(test::OnEngines(
        kLayout, config_, [&](train::Engine& engine, int) -> absl::Status {
          EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
          return test::SaveEngine(temp_.path(), engine).status();
        }));
    folder_ = StepFolder(temp_.path(), 1);
  }

  // Rank 0 runs `damage` on the folder, all ranks load it and must fail alike
  // with nothing changed; rank 0 puts everything back.
  void ExpectError(train::Engine& engine, const std::function<void()>& damage,
                   absl::StatusCode code, const std::string& part) {
    SCOPED_TRACE(part);
    comm::Communicator& world = engine.context().world().communicator();
    Stream& stream = engine.context().device().compute_stream();
    const std::string before = test::BytesOf(engine);
    const std::string copy = temp_.File("copy");
    if (world.rank() == 0) {
      std::filesystem::copy(folder_, copy);
      damage();
    }
    EISBACH_ASSERT_OK(world.Barrier(stream));
    const absl::Status status = test::LoadEngine(folder_, engine);
    EXPECT_THAT(status, StatusIs(code, part));
    EISBACH_ASSERT_OK_AND_ASSIGN(const std::vector<std::string> all,
                                 GatherText(status.ToString(), world, stream));
    for (const std::string& text : all) EXPECT_EQ(text, all[0]);
    EXPECT_EQ(test::BytesOf(engine), before);
    EISBACH_ASSERT_OK(world.Barrier(stream));
    if (world.rank() == 0) {
      std::filesystem::remove_all(folder_);
      std::filesystem::rename(copy, folder_);
    }
    EISBACH_ASSERT_OK(world.Barrier(stream));
  }

  std::string File(const std::string& name) const {
    return folder_ + "/" + name;
  }

  void Edit(const std::string& name, const std::string& from,
            const std::string& to) const {
    const std::string text = test::ReadFile(File(name));
    const std::string edited = absl::StrReplaceAll(text, {{from, to}});
    EXPECT_NE(text, edited) << from;
    test::WriteFile(File(name), edited);
  }

  const train::EngineConfig config_ = test::SmallConfig("llama");
  const test::TempFolder temp_;
  std::string folder_;
};

constexpr char kShard0[] = "pipeline-0-tensor-0-data-0.safetensors";
constexpr char kShard1[] = "pipeline-0-tensor-1-data-0.safetensors";
constexpr char kManifest[] = "manifest.json";

TEST_F(LoadTest, DamageIsAnErrorOnAllRanks) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  constexpr auto kNotFound = absl::StatusCode::kNotFound;
  std::map<std::string, uintmax_t> sizes;
  for (const char* shard : {kShard0, kShard1}) {
    sizes[shard] = std::filesystem::file_size(File(shard));
  }
  EISBACH_EXPECT_OK(test::OnEngines(
      kLayout, config_, [&](train::Engine& engine, int) -> absl::Status {
        for (const char* shard : {kShard0, kShard1}) {
          const auto size = sizes.at(shard);
          for (const auto length : {uintmax_t{0}, uintmax_t{7}, size - 1}) {
            ExpectError(
                engine,
                [&] { std::filesystem::resize_file(File(shard), length); },
                kInvalid, absl::StrCat(shard, " has ", length, " bytes"));
          }
          for (const auto at :
               {uintmax_t{0}, uintmax_t{40}, size / 2, size - 1}) {
            ExpectError(
                engine,
                [&] {
                  std::string bytes = test::ReadFile(File(shard));
                  bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
                  test::WriteFile(File(shard), bytes);
                },
                kInvalid, absl::StrCat(shard, " is damaged: its xxh64"));
          }
          ExpectError(
              engine, [&] { std::filesystem::remove(File(shard)); }, kNotFound,
              shard);
        }
        ExpectError(
            engine,
            [&] {
              std::filesystem::rename(File(kShard0), File("x"));
              std::filesystem::rename(File(kShard1), File(kShard0));
              std::filesystem::rename(File("x"), File(kShard1));
            },
            kInvalid, kShard0);
        ExpectError(
            engine, [&] { std::filesystem::remove(File(kManifest)); },
            kNotFound, kManifest);
        ExpectError(
            engine, [&] { std::filesystem::resize_file(File(kManifest), 100); },
            kInvalid, "manifest.json: the file is not valid JSON");
        ExpectError(
            engine, [&] { Edit(kManifest, "\"step\"", "\"stop\""); }, kInvalid,
            "manifest has no step");
        ExpectError(
            engine, [&] { std::filesystem::remove_all(folder_); }, kNotFound,
            "step-00000001");
        // The ranks are still in step, and the checkpoint is whole.
        return test::LoadEngine(folder_, engine);
      }));
}

// A file may be intact and still hold something else than the model needs.
TEST_F(LoadTest, ForeignContentIsAnErrorOnAllRanks) {
  const auto change = [&](const std::string& shard,
                          const std::function<void()>& edit) {
    const std::string old = HashText(ContentHash(test::ReadFile(File(shard))));
    edit();
    Edit(kManifest, old, HashText(ContentHash(test::ReadFile(File(shard)))));
    test::WriteFile(File(kManifest),
                    test::Value(SealManifest(test::ReadFile(File(kManifest)))));
  };
  const auto rewrite = [&](const std::string& shard, const std::string& from,
                           const std::string& to) {
    change(shard, [&] { Edit(shard, from, to); });
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EISBACH_EXPECT_OK(test::OnEngines(
      kLayout, config_, [&](train::Engine& engine, int) -> absl::Status {
        ExpectError(
            engine,
            [&] {
              rewrite(kShard1, "blocks.1.mlp.down.weight",
                      "blocks.1.mlp.dawn.weight");
            },
            absl::StatusCode::kNotFound,
            "no file has 432 of the 432 elements of "
            "\"blocks.1.mlp.down.weight@0,18\"");
        // A replica that only the other rank's file has.
        ExpectError(
            engine,
            [&] { rewrite(kShard0, "final_norm.weight", "final_narm.weight"); },
            absl::StatusCode::kNotFound, "\"final_norm.weight\"");
        // The metadata says another shape than the model's.
        ExpectError(
            engine,
            [&] {
              rewrite(
                  kShard0,
                  R"(\"name\":\"embedding.token.weight\",\"shape\":[29,24])",
                  R"(\"name\":\"embedding.token.weight\",\"shape\":[31,24])");
            },
            kInvalid, "\"embedding.token.weight\" is [31, 24]");
        // ... or lies about what is in the file.
        ExpectError(
            engine, [&] { rewrite(kShard0, R"(\"start\":)", R"(\"stort\":)"); },
            kInvalid, "metadata \"slices\" has an entry without");
        ExpectError(
            engine,
            [&] {
              rewrite(kShard0, R"(\"shape\":[29,24],\"start\":[0,0])",
                      R"(\"shape\":[29,24],\"start\":[9,9])");
            },
            kInvalid, "does not lie in [29, 24]");
        ExpectError(
            engine, [&] { rewrite(kShard0, "\"slices\"", "\"slizes\""); },
            kInvalid, "has no metadata \"slices\"");
        // Weights that no training can have left there.
        for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                                -std::numeric_limits<float>::infinity()}) {
          ExpectError(
              engine,
              [&] {
                change(kShard1, [&] {
                  std::string bytes = test::ReadFile(File(kShard1));
                  std::memcpy(&bytes[bytes.size() - sizeof(bad)], &bad,
                              sizeof(bad));
                  test::WriteFile(File(kShard1), bytes);
                });
              },
              kInvalid, "is NaN or infinite");
        }
        return test::LoadEngine(folder_, engine);
      }));
}

TEST_F(LoadTest, NamesWhatDoesNotFit) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const auto expect = [&](const train::EngineConfig& config,
                          const std::string& json, absl::StatusCode code,
                          const std::string& part) {
    EISBACH_EXPECT_OK(test::OnEngines(
        kLayout, config, [&](train::Engine& engine, int) -> absl::Status {
          EXPECT_THAT(test::LoadEngine(folder_, engine, json),
                      StatusIs(code, part));
          return absl::OkStatus();
        }));
  };
  expect(config_, R"({"model":{"heads":6},"seed":1234})", kInvalid,
         "model.heads=12 in the checkpoint, 6 in this run");
  train::EngineConfig config = config_;
  config.update.optimizer.name = "sgd";
  expect(config, test::kConfig, kInvalid,
         "optimizer state in the checkpoint: m, v; this run's optimizer has: "
         "none (optimizer.name; ema: train.ema)");
  config = config_;
  config.model.ffn_hidden = 48;
  expect(config, test::kConfig, kInvalid,
         "\"blocks.4.mlp.down.weight\" is [24, 36], the model's [24, 48]");
  config = config_;
  config.model.layers = 6;
  expect(config, test::kConfig, absl::StatusCode::kNotFound, "blocks.5");
}

// Each rank gives its own config; a manifest is the same for all or for none.
TEST_F(LoadTest, OneRankThatDisagreesStopsAll) {
  EISBACH_EXPECT_OK(test::OnEngines(
      kLayout, config_, [&](train::Engine& engine, int rank) -> absl::Status {
        EXPECT_THAT(
            test::LoadEngine(folder_, engine, rank == 3 ? "{}" : test::kConfig),
            StatusIs(absl::StatusCode::kInvalidArgument, "rank 3: "));
        const std::string other = StepFolder(temp_.File("other"), 1);
        if (rank == 0) {
          std::filesystem::create_directory(temp_.File("other"));
          std::filesystem::copy(folder_, other);
          const std::string text = test::ReadFile(File(kManifest));
          test::WriteFile(other + "/manifest.json", text + "\n");
        }
        EISBACH_RETURN_IF_ERROR(engine.context().world().communicator().Barrier(
            engine.context().device().compute_stream()));
        EXPECT_THAT(test::LoadEngine(rank == 2 ? other : folder_, engine),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             "the manifest is not the same on all ranks"));
        return test::LoadEngine(folder_, engine);
      }));
}

TEST_F(LoadTest, ARenamedFolderIsAnErrorOnAllRanks) {
  EISBACH_EXPECT_OK(test::OnEngines(
      kLayout, config_, [&](train::Engine& engine, int rank) -> absl::Status {
        comm::Communicator& world = engine.context().world().communicator();
        Stream& stream = engine.context().device().compute_stream();
        const std::string renamed = StepFolder(temp_.path(), 7);
        if (rank == 0) std::filesystem::rename(folder_, renamed);
        EISBACH_RETURN_IF_ERROR(world.Barrier(stream));
        EXPECT_THAT(test::LoadEngine(renamed, engine),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             "step-00000007 holds step 1: a folder of that "
                             "step is called step-00000001"));
        return absl::OkStatus();
      }));
}

// Several threads share what is copied, also of one tensor.
TEST(LoadThreadsTest, TensorsThatAreCopiedInPartsAreWhole) {
  train::EngineConfig config = test::SmallConfig("gpt");
  config.model.vocab = 9001;  // of 24: three parts and a rest
  const test::TempFolder temp;
  for (const int threads : {1, 3}) {
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        1, DeviceType::kCpu, threads, [&](comm::World& world) {
          return test::WithEngine(
              world, Layout{1, 1, 1}, config,
              [&](train::Engine& engine) -> absl::Status {
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
                const std::string root = temp.File(absl::StrCat(threads));
                std::filesystem::create_directory(root);
                EISBACH_ASSIGN_OR_RETURN(const std::string path,
                                         test::SaveEngine(root, engine));
                const std::string saved = test::BytesOf(engine);
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
                EXPECT_FALSE(test::BytesOf(engine) == saved);
                EISBACH_RETURN_IF_ERROR(test::LoadEngine(path, engine));
                EXPECT_TRUE(test::BytesOf(engine) == saved);
                return absl::OkStatus();
              });
        }));
  }
}

}  // namespace
}  // namespace eisbach::checkpoint::load_test
