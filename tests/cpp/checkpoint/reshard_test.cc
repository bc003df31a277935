// A checkpoint goes on where it was not saved: on other layouts and in other
// types.

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>

#include "checkpoint/folder.h"
#include "checkpoint/read_manifest.h"
#include "checkpoint/shard_set.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/curves.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::reshard_test {
namespace {

using test::Curve;
using test::Layout;

constexpr int kSaved = 3, kSteps = 6;

absl::StatusOr<Curve> TrainTo(int step, train::Engine& engine) {
  Curve curve;
  while (engine.update().step() < step) {
    EISBACH_ASSIGN_OR_RETURN(const train::StepResult result,
                             test::ToyStep(engine));
    curve.push_back(result);
  }
  return curve;
}

// Trains kSaved steps and saves; returns the checkpoint, and in `rest` what the
// run sees that goes on.
std::string Train(const Layout& layout, const train::EngineConfig& config,
                  const std::string& root, Curve& rest) {
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, config, [&](train::Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(TrainTo(kSaved, engine).status());
        EISBACH_RETURN_IF_ERROR(test::SaveEngine(root, engine).status());
        EISBACH_ASSIGN_OR_RETURN(Curve curve, TrainTo(kSteps, engine));
        if (rank == 0) rest = std::move(curve);
        return absl::OkStatus();
      }));
  return StepFolder(root, kSaved);
}

// Loads, saves again below `root` and goes on.
Curve GoOn(const std::string& path, const Layout& layout,
           const train::EngineConfig& config, const std::string& root) {
  Curve rest;
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, config, [&](train::Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(test::LoadEngine(path, engine));
        EXPECT_EQ(engine.update().step(), kSaved);
        EISBACH_RETURN_IF_ERROR(test::SaveEngine(root, engine).status());
        EISBACH_ASSIGN_OR_RETURN(Curve curve, TrainTo(kSteps, engine));
        if (rank == 0) rest = std::move(curve);
        return absl::OkStatus();
      }));
  return rest;
}

// All that a checkpoint holds, as whole tensors: masters and optimizer state.
using Contents = std::map<std::string, std::vector<float>>;

absl::StatusOr<Contents> Read(const std::string& folder) {
  Contents contents;
  EISBACH_ASSIGN_OR_RETURN(const ManifestText text, ReadManifest(folder));
  for (const ManifestFile& entry : text.manifest.files) {
    EISBACH_ASSIGN_OR_RETURN(
        const SafetensorsFile file,
        SafetensorsFile::Open(absl::StrCat(folder, "/", entry.name)));
    EISBACH_ASSIGN_OR_RETURN(const std::vector<SavedSlice> slices,
                             ReadSlices(file));
    for (const SavedSlice& slice : slices) {
      std::vector<float>& whole =
          contents[absl::StrCat(slice.part, "/", slice.name)];
      whole.resize(slice.shape.elements());
      CopyBox(slice.box, slice.box, file.Bytes(*file.Find(slice.Key())).data(),
              WholeBox(slice.shape), whole.data());
    }
  }
  return contents;
}

void ExpectSameContents(const std::string& got, const std::string& want) {
  EISBACH_ASSERT_OK_AND_ASSIGN(const Contents a, Read(got));
  EISBACH_ASSERT_OK_AND_ASSIGN(const Contents b, Read(want));
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, values] : b) {
    ASSERT_TRUE(a.contains(name)) << name;
    const std::vector<float>& other = a.at(name);
    ASSERT_EQ(other.size(), values.size()) << name;
    EXPECT_EQ(
        std::memcmp(other.data(), values.data(), values.size() * sizeof(float)),
        0)
        << name;
  }
}

constexpr double kTolerance = 1e-5;

// From `from` to all of `layouts`; every bit arrives, and the losses are those
// of the run that was not stopped.
// There the pipeline has the `schedule`.
void ExpectGoesOn(const Layout& from, absl::Span<const Layout> layouts,
                  train::EngineConfig config, const char* schedule = "1f1b") {
  const test::TempFolder temp;
  Curve want;
  const std::string saved = Train(from, config, temp.File("from"), want);
  config.pipeline_schedule = schedule;
  ASSERT_EQ(want.size(), kSteps - kSaved);
  for (const Layout& layout : layouts) {
    const std::string what = absl::StrCat(
        config.model.family, " ", from.ToString(), " to ", layout.ToString());
    SCOPED_TRACE(what);
    const std::string root = temp.File(layout.ToString());
    const Curve got = GoOn(saved, layout, config, root);
    test::ExpectCloseCurves(got, want, kTolerance, what);
    ExpectSameContents(StepFolder(root, kSaved), saved);
  }
}

// Odd vocabularies that are padded otherwise, key/value heads that ranks share,
// stages of other lengths, tied tables on two stages or one.
TEST(Reshard, GoesOnOnEveryLayout) {
  train::EngineConfig config = test::SmallConfig("gpt");
  config.model.dropout = 0.1f;
  for (const Layout& from : {Layout{1, 1, 1}, {1, 1, 2}, {2, 2, 2}}) {
    ExpectGoesOn(from, test::kLayouts, config);
  }
  config = test::SmallConfig("llama");
  for (const Layout& from : {Layout{2, 1, 1}, {1, 3, 1}, {1, 2, 2}}) {
    ExpectGoesOn(from, test::kLayouts, config);
  }
}

// To rows that ranks divide and back; context ranks write shares of their own.
TEST(Reshard, GoesOnWithOtherContexts) {
  train::EngineConfig config = test::SmallConfig("llama");
  config.model.context = 12;
  const Layout layouts[] = {{2, 1, 1},
                            {1, 2, 2},
                            test::WithContext(3),
                            test::WithContext(2, {2, 2, 1})};
  for (const Layout& from : {Layout{2, 1, 1}, test::WithContext(2, {2, 1, 1}),
                             test::WithContext(3, {1, 1, 2})}) {
    ExpectGoesOn(from, layouts, config);
  }
  config.update.zero.zero = 3;
  ExpectGoesOn(test::WithContext(2, {2, 1, 1}), layouts, config);
}

// From chunks in a V to chunks in rounds, to one a stage, and back.
TEST(Reshard, GoesOnWithOtherChunks) {
  train::EngineConfig config = test::SmallConfig("gpt");
  const Layout layouts[] = {{1, 1, 2}, {2, 1, 1}};
  ExpectGoesOn({1, 2, 2}, layouts, config, "zb_v");
  config.pipeline_schedule = "zb_v";
  ExpectGoesOn({1, 1, 2}, layouts, config, "interleaved");
  ExpectGoesOn({1, 1, 2}, layouts, config, "1f1b");
}

TEST(Reshard, GoesOnWithMoreAndFewerRanksThanFiles) {
  train::EngineConfig config = test::SmallConfig("gpt");
  config.micro_batch = 1;
  const Layout many[] = {{8, 1, 1}, {1, 4, 1}, {4, 1, 1}, {1, 1, 5}};
  for (const Layout& from : many) ExpectGoesOn(from, many, config);
}

TEST(Reshard, TakesAnotherMicroBatchAndRecomputation) {
  const test::TempFolder temp;
  train::EngineConfig config = test::SmallConfig("llama");
  Curve want;
  const std::string saved = Train({2, 1, 1}, config, temp.File("from"), want);
  config.micro_batch = 1;
  config.recompute = nn::Recompute::kBlock;
  config.pipeline_schedule = "gpipe";
  config.update.bucket_bytes = 1 << 10;
  const Curve got = GoOn(saved, {1, 1, 2}, config, temp.File("to"));
  test::ExpectCloseCurves(got, want, kTolerance, "d2t1p1 to d1t1p2");
}

// Masters are f32 in all of them. A loss scale begins anew where the checkpoint
// has none, and goes where none is wanted.
TEST(Reshard, GoesOnInAnotherComputeType) {
  for (const DType from : {DType::kF32, DType::kBF16, DType::kF16}) {
    const test::TempFolder temp;
    train::EngineConfig config = test::SmallConfig("gpt");
    config.update.compute_dtype = from;
    config.update.initial_loss_scale = 256;
    Curve want;
    const std::string saved = Train({2, 1, 1}, config, temp.File("from"), want);
    for (const DType to : {DType::kF32, DType::kBF16, DType::kF16}) {
      const std::string what = absl::StrCat(Name(from), " to ", Name(to));
      SCOPED_TRACE(what);
      config.update.compute_dtype = to;
      config.update.initial_loss_scale = 1024;
      const std::string root = temp.File(std::string(Name(to)));
      const Curve got = GoOn(saved, {1, 2, 1}, config, root);
      test::ExpectCloseCurves(got, want, 0.02, what);
      ExpectSameContents(StepFolder(root, kSaved), saved);
      const double scale = to != DType::kF16 ? 1 : from == to ? 256 : 1024;
      EXPECT_EQ(got[0].loss_scale, scale) << what;
    }
  }
}

// Parts of buckets end anywhere in a tensor, so files hold pieces of rows.
TEST(Reshard, GoesOnWhereRanksDivideOtherwise) {
  struct Place {
    Layout layout;
    parallel::ZeroConfig zero;
  };
  const Place places[] = {
      {{1, 1, 1}, {}},          {{2, 1, 1}, {.zero = 3}},
      {{4, 1, 1}, {.zero = 1}}, {{4, 1, 1}, {.zero = 2, .group = 2}},
      {{2, 2, 1}, {.zero = 2}}, {{2, 1, 2}, {.zero = 3}}};
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    for (size_t from = 0; from < std::size(places); ++from) {
      const test::TempFolder temp;
      train::EngineConfig config =
          test::SmallConfig(from % 2 == 0 ? "gpt" : "llama");
      config.update.compute_dtype = compute;
      config.update.zero = places[from].zero;
      Curve want;
      const std::string saved =
          Train(places[from].layout, config, temp.File("from"), want);
      for (size_t to = 0; to < std::size(places); ++to) {
        // In bf16, from each to itself and to the next.
        const size_t ahead =
            (to + std::size(places) - from) % std::size(places);
        if (compute != DType::kF32 && ahead > 1) continue;
        const std::string what =
            absl::StrCat(Name(compute), " ", from, " to ", to);
        SCOPED_TRACE(what);
        config.update.zero = places[to].zero;
        const std::string root = temp.File(absl::StrCat("to", to));
        const Curve got = GoOn(saved, places[to].layout, config, root);
        if (from == to) {
          test::ExpectSameCurves(got, want, what);
        } else {
          test::ExpectCloseCurves(
              got, want, compute == DType::kF32 ? kTolerance : 0.02, what);
        }
        ExpectSameContents(StepFolder(root, kSaved), saved);
      }
    }
  }
}

// State that some parameters have and others have not, and an average.
TEST(Reshard, GoesOnWithEveryOptimizer) {
  train::EngineConfig config = test::SmallConfig("llama");
  config.update.optimizer.average_decay = 0.9;
  config.update.optimizer.momentum = 0.95;
  const Layout layouts[] = {{1, 1, 1}, {2, 2, 1}, {2, 1, 2}};
  for (const char* name : {"muon", "lion"}) {
    config.update.optimizer.name = name;
    for (const int zero : {0, 3}) {
      config.update.zero.zero = zero;
      ExpectGoesOn(zero == 0 ? Layout{1, 1, 2} : Layout{2, 1, 1},
                   zero == 0 ? absl::MakeConstSpan(layouts)
                             : absl::MakeConstSpan(layouts).subspan(1),
                   config);
    }
  }
}

// A save is divided as the state is: no rank writes what another has.
TEST(Reshard, EachRankWritesItsPart) {
  const test::TempFolder temp;
  train::EngineConfig config = test::SmallConfig("gpt");
  config.update.zero = {.zero = 1};
  Curve rest;
  const std::string saved = Train({4, 1, 1}, config, temp.File("from"), rest);
  EISBACH_ASSERT_OK_AND_ASSIGN(const ManifestText text, ReadManifest(saved));
  ASSERT_EQ(text.manifest.files.size(), 4);
  int64_t all = 0, largest = 0;
  for (const ManifestFile& file : text.manifest.files) {
    all += static_cast<int64_t>(file.bytes);
    largest = std::max(largest, static_cast<int64_t>(file.bytes));
  }
  EXPECT_LT(largest, all / 4 * 1.5);
}

TEST(Reshard, LooksFirstWhereTheSamePartOfTheModelIs) {
  Manifest manifest{};
  manifest.layout = {{2, 1, 1, 4}};
  const auto add = [&](int pipeline, int tensor) {
    manifest.files.push_back(
        {absl::StrCat(pipeline, tensor), pipeline, tensor, 0, 0, 0});
  };
  for (int pipeline = 0; pipeline < 2; ++pipeline) {
    for (int tensor = 0; tensor < 4; ++tensor) add(pipeline, tensor);
  }
  const auto order = [&](int pipelines, int tensors, int pipeline, int tensor) {
    parallel::Coordinates layout = manifest.layout;
    layout[Axis::kPipeline] = pipelines;
    layout[Axis::kTensor] = tensors;
    std::string names;
    for (const ManifestFile& file :
         NearestFirst(manifest, layout, pipeline, tensor)) {
      absl::StrAppend(&names, file.name, " ");
    }
    return names;
  };
  EXPECT_EQ(order(2, 4, 1, 2), "12 11 13 10 02 01 03 00 ");
  EXPECT_EQ(order(1, 2, 0, 1), "02 03 12 13 01 11 00 10 ");
  EXPECT_EQ(order(4, 1, 3, 0), "10 11 12 13 00 01 02 03 ");
}

}  // namespace
}  // namespace eisbach::checkpoint::reshard_test
