#include "checkpoint/foreign_weights.h"

#include <limits>

#include "checkpoint/gather.h"
#include "checkpoint/safetensors_writer.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::foreign_weights_test {
namespace {

using test::StatusIs;
using test::Value;
using Tensors = std::vector<LogicalTensor>;

Tensors Gather(train::Engine& engine) {
  return Value(GatherParameters(engine.update().parameters(),
                                ParameterValue::kMaster, engine.context()));
}

// Of one rank, from another seed than the models below.
Tensors Whole(const train::EngineConfig& config) {
  train::EngineConfig other = config;
  other.update.seed = 77;
  Tensors whole;
  EISBACH_EXPECT_OK(test::OnEngines({}, other, [&](train::Engine& e, int) {
    whole = Gather(e);
    return absl::OkStatus();
  }));
  return whole;
}

// One file of others with tensors in f32.
class ForeignFile {
 public:
  explicit ForeignFile(std::string path) : path_(std::move(path)) {}

  // Adds a tensor of the file.
  void Add(const std::string& name, const Shape& shape,
           std::vector<float> values) {
    specs_.push_back({name, DType::kF32, shape});
    values_[name] = std::move(values);
  }
  void Write() const {
    auto writer = Value(SafetensorsWriter::Create(path_, specs_, {}));
    for (const SafetensorsEntry& entry : writer->entries()) {
      const std::vector<float>& values = values_.at(entry.name);
      EISBACH_ASSERT_OK(writer->Write(entry.name, values.data(),
                                      values.size() * sizeof(float)));
    }
    EISBACH_ASSERT_OK(writer->Commit());
  }

 private:
  std::string path_;
  std::vector<SafetensorsSpec> specs_;
  std::map<std::string, std::vector<float>> values_;
};

// How others have the model: each block's query, key and value stacked, the
// MLP's matrices transposed, the rest in a second file.
ForeignTensors Write(const Tensors& whole, const std::string& folder) {
  const std::string first = folder + "/1.safetensors",
                    second = folder + "/2.safetensors";
  ForeignFile stacked(first), rest(second);
  ForeignTensors sources;
  std::map<std::string, std::pair<Shape, std::vector<float>>> stacks;
  for (const char* part : {"query", "key", "value"}) {
    for (const LogicalTensor& t : whole) {
      const size_t at = t.name.find(absl::StrCat(".", part, "."));
      if (at == std::string::npos) continue;
      const std::string name =
          absl::StrCat("their.", t.name.substr(0, at), ".qkv",
                       t.name.substr(at + 1 + std::string(part).size()));
      auto& [shape, values] = stacks[name];
      const int64_t row = shape.rank() == 0 ? 0 : shape[0];
      shape = t.shape;
      shape.Set(0, row + t.shape[0]);
      values.insert(values.end(), t.values.begin(), t.values.end());
      sources[t.name] = {first, name, row};
    }
  }
  for (const auto& [name, stack] : stacks) {
    stacked.Add(name, stack.first, stack.second);
  }
  for (const LogicalTensor& t : whole) {
    if (sources.contains(t.name)) continue;
    const std::string name = absl::StrCat("their.", t.name);
    const bool transposed =
        t.name.find(".mlp.") != std::string::npos && t.shape.rank() == 2;
    std::vector<float> values = t.values;
    Shape shape = t.shape;
    if (transposed) {
      shape = Shape{t.shape[1], t.shape[0]};
      for (int64_t r = 0; r < t.shape[0]; ++r) {
        for (int64_t c = 0; c < t.shape[1]; ++c) {
          values[c * t.shape[0] + r] = t.values[r * t.shape[1] + c];
        }
      }
    }
    rest.Add(name, shape, std::move(values));
    sources[t.name] = {second, name, 0, transposed};
  }
  stacked.Write();
  rest.Write();
  return sources;
}

TEST(ForeignWeightsTest, EveryLayoutReadsItsOwn) {
  for (const char* family : {"gpt", "llama"}) {
    const train::EngineConfig config = test::SmallConfig(family);
    const Tensors whole = Whole(config);
    const test::TempFolder folder;
    const ForeignTensors sources = Write(whole, folder.path());
    for (const test::Layout& layout : test::kLayouts) {
      EISBACH_ASSERT_OK(
          test::OnEngines(layout, config, [&](train::Engine& engine, int rank) {
            EISBACH_RETURN_IF_ERROR(LoadForeignWeights(
                sources, engine.update().parameters(), engine.context()));
            const Tensors got = Gather(engine);
            if (rank != 0) return absl::OkStatus();
            EXPECT_EQ(got.size(), whole.size());
            for (size_t i = 0; i < got.size(); ++i) {
              EXPECT_EQ(got[i].name, whole[i].name);
              EXPECT_EQ(got[i].values, whole[i].values)
                  << got[i].name << layout.ToString();
            }
            return absl::OkStatus();
          }));
    }
  }
}

// New rows are the mean of those that are known, bit for bit on every layout;
// the others are the file's, also behind them.
TEST(ForeignWeightsTest, NewRowsAreTheMean) {
  constexpr int64_t kWidth = 24;
  train::EngineConfig config = test::SmallConfig("llama");
  config.model.adapter = {.rank = 2, .alpha = 4, .tokens = {3, 20, 21, 27}};
  const Tensors whole = Whole(config);
  struct Case {
    int64_t file_rows, known, count;
  };
  for (const Case& c : {Case{27, 27, 2}, Case{29, 20, 4}}) {
    const test::TempFolder folder;
    Tensors theirs = whole;
    std::map<std::string, std::vector<float>> want;
    for (LogicalTensor& t : theirs) {
      if (t.name != "embedding.token.weight" && t.name != "head.weight") {
        continue;
      }
      t.shape.Set(0, c.file_rows);
      std::vector<float> table = t.values;
      t.values.resize(c.file_rows * kWidth);
      for (int64_t i = 0; i < kWidth; ++i) {
        double sum = 0;
        for (int64_t r = 0; r < c.known; ++r) sum += t.values[r * kWidth + i];
        for (int64_t r = c.known; r < c.known + c.count; ++r) {
          table[r * kWidth + i] =
              static_cast<float>(sum / static_cast<double>(c.known));
        }
      }
      std::vector<float>& rows =
          want[t.name.substr(0, t.name.rfind('.')) + ".rows.weight"];
      for (const int64_t id : config.model.adapter.tokens) {
        rows.insert(rows.end(), table.begin() + id * kWidth,
                    table.begin() + (id + 1) * kWidth);
      }
      want[t.name] = std::move(table);
    }
    ForeignTensors sources = Write(theirs, folder.path());
    for (const std::string table : {"embedding.token", "head"}) {
      ForeignTensor& told = sources.at(table + ".weight");
      told.known_rows = c.known;
      told.new_rows = c.count;
      ForeignTensor& rows = sources[table + ".rows.weight"];
      rows = told;
      rows.rows = config.model.adapter.tokens;
    }
    for (const test::Layout& layout : test::kLayouts) {
      EISBACH_ASSERT_OK(
          test::OnEngines(layout, config, [&](train::Engine& engine, int rank) {
            EISBACH_RETURN_IF_ERROR(LoadForeignWeights(
                sources, engine.update().parameters(), engine.context()));
            for (const LogicalTensor& tensor : Gather(engine)) {
              const auto found = want.find(tensor.name);
              if (rank != 0 || found == want.end()) continue;
              EXPECT_TRUE(tensor.values == found->second)
                  << tensor.name << layout.ToString();
            }
            return absl::OkStatus();
          }));
    }
    // A row that is neither new nor there.
    sources.at("head.weight").new_rows = 1;
    EISBACH_ASSERT_OK(
        test::OnEngines({}, config, [&](train::Engine& engine, int) {
          const absl::Status told = LoadForeignWeights(
              sources, engine.update().parameters(), engine.context());
          if (c.file_rows < 29) {
            EXPECT_THAT(told, StatusIs(absl::StatusCode::kInvalidArgument,
                                       "the model has [29, 24], of which the "
                                       "1 from row 27 on are new"));
          } else {
            EISBACH_EXPECT_OK(told);
          }
          return absl::OkStatus();
        }));
  }
}

// Tables and transposed matrices of more elements than are converted at once,
// into weights that were never drawn.
TEST(ForeignWeightsTest, LargeTensorsAreReadInPieces) {
  train::EngineConfig config = test::SmallConfig("gpt");
  config.model.layers = 1;
  config.model.vocab = 24'001;  // one row of padding on two ranks
  config.model.ffn_hidden = 24'000;
  const Tensors whole = Whole(config);
  const test::TempFolder folder;
  const ForeignTensors sources = Write(whole, folder.path());
  config.update.initial_values = false;
  for (const test::Layout& layout : {test::Layout{1, 1, 1}, {1, 2, 1}}) {
    EISBACH_ASSERT_OK(
        test::OnEngines(layout, config, [&](train::Engine& engine, int rank) {
          for (const LogicalTensor& tensor : Gather(engine)) {
            for (float value : tensor.values) EXPECT_EQ(value, 0.0f);
          }
          EISBACH_RETURN_IF_ERROR(LoadForeignWeights(
              sources, engine.update().parameters(), engine.context()));
          const Tensors got = Gather(engine);
          if (rank != 0) return absl::OkStatus();
          EXPECT_EQ(got.size(), whole.size());
          for (size_t i = 0; i < got.size(); ++i) {
            EXPECT_EQ(got[i].values, whole[i].values) << got[i].name;
          }
          return absl::OkStatus();
        }));
  }
}

TEST(ForeignWeightsTest, WhatDoesNotFitIsNamedOnAllRanks) {
  const train::EngineConfig config = test::SmallConfig("gpt");
  Tensors whole = Whole(config);
  const test::TempFolder folder;
  ForeignTensors sources = Write(whole, folder.path());
  const auto load = [&] {
    absl::Status told[2];
    EISBACH_EXPECT_OK(test::OnEngines(
        {1, 2, 1}, config, [&](train::Engine& engine, int rank) {
          told[rank] = LoadForeignWeights(sources, engine.update().parameters(),
                                          engine.context());
          return absl::OkStatus();
        }));
    EXPECT_EQ(told[0], told[1]);
    return told[0];
  };
  EISBACH_EXPECT_OK(load());
  const auto bad = absl::StatusCode::kInvalidArgument;
  const std::string name = "blocks.1.attention.value.weight";
  const ForeignTensor right = sources[name];
  sources[name].first_row = 49;  // rows past the end
  EXPECT_THAT(load(), StatusIs(bad,
                               "1.safetensors: tensor their.blocks.1."
                               "attention.qkv.weight is of shape "
                               "[72, 24]; the model has [24, 24] from "
                               "row 49 on"));
  sources[name] = right;
  sources[name].transposed = true;
  EXPECT_THAT(load(), StatusIs(bad, "transposed"));
  sources[name] = {right.file, "nobody's"};
  EXPECT_THAT(load(), StatusIs(bad, "1.safetensors: has no tensor nobody's"));
  sources.erase(name);
  EXPECT_THAT(load(), StatusIs(bad, absl::StrCat("where ", name, " lies")));

  // On meta it is the check alone.
  const auto check = [&] {
    auto world = Value(comm::SimWorld(0, 1, DeviceType::kMeta));
    absl::Status told;
    EISBACH_EXPECT_OK(
        test::WithEngine(*world, {}, config, [&](train::Engine& engine) {
          told = LoadForeignWeights(sources, engine.update().parameters(),
                                    engine.context());
          return absl::OkStatus();
        }));
    return told;
  };
  EXPECT_THAT(check(), StatusIs(bad, absl::StrCat("where ", name, " lies")));
  sources = Write(whole, folder.path());
  EISBACH_EXPECT_OK(check());

  // A value that only the second rank reads.
  for (LogicalTensor& tensor : whole) {
    if (tensor.name == "blocks.0.mlp.up.bias") {
      tensor.values.back() = std::numeric_limits<float>::infinity();
    }
  }
  sources = Write(whole, folder.path());
  EXPECT_THAT(load(), StatusIs(bad,
                               "tensor their.blocks.0.mlp.up.bias: "
                               "element 35 is inf"));
  EXPECT_THAT(check(), StatusIs(bad, "element 35 is inf"));
}

}  // namespace
}  // namespace eisbach::checkpoint::foreign_weights_test
