// Rows of tables that are trained beside adapters, on every layout.

#include <gtest/gtest.h>

#include <map>

#include "checkpoint/folder.h"
#include "checkpoint/read_weights.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"
#include "support/trained.h"
#include "tensor/init.h"

namespace eisbach::train::token_rows_test {
namespace {

using test::Layout;
using test::Trained;
using test::Value;
using Values = std::map<std::string, std::vector<float>>;

constexpr int kSteps = 5;

// Of 29; 9 and 10 are of two ranks where three share a table.
EngineConfig Config(const std::string& family) {
  EngineConfig config = test::SmallConfig(family);
  config.model.adapter = {
      .rank = 3, .alpha = 6, .tokens = {0, 1, 9, 10, 14, 28}};
  config.update.schedule.learning_rate = 1e-3;
  config.update.schedule.min_learning_rate = 1e-3;
  return config;
}

bool IsRows(const std::string& name) { return name.ends_with(".rows.weight"); }

// What stands for their values in a file: the same on every layout.
absl::Status Fill(Engine& engine) {
  Stream& stream = engine.context().device().compute_stream();
  for (Parameter* parameter : engine.update().parameters()) {
    ParamSpec& spec = parameter->mutable_spec();
    if (!IsRows(spec.name)) continue;
    spec.init = {Init::Kind::kNormal, 0.5f};
    EISBACH_RETURN_IF_ERROR(InitParameter(*parameter, 77, stream));
  }
  return engine.update().RefreshData();
}

Values Gather(Engine& engine) {
  Values values;
  for (checkpoint::LogicalTensor& tensor : Value(checkpoint::GatherParameters(
           engine.update().parameters(), checkpoint::ParameterValue::kMaster,
           engine.context()))) {
    values[tensor.name] = std::move(tensor.values);
  }
  return values;
}

absl::StatusOr<Trained> TrainFilled(const Layout& layout,
                                    const EngineConfig& config) {
  Trained trained;
  EISBACH_RETURN_IF_ERROR(test::OnEngines(
      layout, config, [&](Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(Fill(engine));
        EISBACH_ASSIGN_OR_RETURN(Trained mine,
                                 test::TrainAndGather(engine, kSteps));
        if (rank == 0) trained = std::move(mine);
        return absl::OkStatus();
      }));
  return trained;
}

void ExpectLayoutsAgree(const EngineConfig& config,
                        const test::Tolerances& tolerance) {
  const Trained one = Value(TrainFilled({}, config));
  for (const Layout& layout : test::kLayouts) {
    EngineConfig other = config;
    other.deferred_weights = layout.tensor == 2;
    test::ExpectTrainsLike(Value(TrainFilled(layout, other)), one, tolerance,
                           layout.ToString());
  }
}

// Of gpt the head is the embedding, also over stages; of llama each has rows.
TEST(TokenRowsTest, EveryLayoutTrainsLikeOneRank) {
  ExpectLayoutsAgree(Config("gpt"), test::kFloat32Tolerance);
  ExpectLayoutsAgree(Config("llama"), test::kFloat32Tolerance);
  EngineConfig config = Config("llama");
  config.model.adapter.saved = {"embedding"};
  ExpectLayoutsAgree(config, test::kFloat32Tolerance);
  config = Config("gpt");
  config.update.compute_dtype = DType::kBF16;
  ExpectLayoutsAgree(config, {1e-2, 0.1, 2e-6});
}

// Where data ranks divide tables and rows, both are brought before they are
// put together.
TEST(TokenRowsTest, AreDividedAsOtherWeightsAre) {
  for (const char* family : {"gpt", "llama"}) {
    for (const int zero : {1, 3}) {
      EngineConfig config = Config(family);
      config.update.zero.zero = zero;
      ExpectLayoutsAgree(config, test::kFloat32Tolerance);
    }
  }
}

// Their gradient is that of the same rows where the table itself trains.
TEST(TokenRowsTest, HaveTheGradientOfTheTablesRows) {
  EngineConfig rows = Config("gpt"), whole = Config("gpt");
  whole.model.adapter.tokens = {};
  whole.model.adapter.saved = {"embedding", "head"};
  const auto gradients = [](const EngineConfig& config) {
    Values found;
    EISBACH_EXPECT_OK(
        test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
          // Each row as the table has it.
          const Tensor table = engine.update().parameters()[0]->data();
          const Tensor own = engine.update().parameters()[1]->master();
          const std::vector<int64_t>& ids = config.model.adapter.tokens;
          const int64_t width = table.dim(1);
          for (size_t i = 0; i < ids.size(); ++i) {
            std::copy_n(table.data<float>() + ids[i] * width, width,
                        own.data<float>() + i * width);
          }
          EISBACH_ASSIGN_OR_RETURN(Trained mine,
                                   test::TrainAndGather(engine, 1));
          for (checkpoint::LogicalTensor& tensor : mine.gradients) {
            found[tensor.name] = std::move(tensor.values);
          }
          return absl::OkStatus();
        }));
    return found;
  };
  const std::vector<float> got =
      gradients(rows).at("embedding.token.rows.weight");
  const std::vector<float> all = gradients(whole).at("embedding.token.weight");
  const std::vector<int64_t>& ids = rows.model.adapter.tokens;
  ASSERT_EQ(got.size(), ids.size() * 24);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], all[ids[i / 24] * 24 + i % 24], 1e-6) << i;
  }
}

TEST(TokenRowsTest, NothingElseOfTheTablesChanges) {
  EISBACH_EXPECT_OK(test::OnEngines(
      {}, Config("llama"), [&](Engine& engine, int) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(Fill(engine));
        const Values before = Gather(engine);
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        const Values after = Gather(engine);
        for (const auto& [name, values] : after) {
          const bool adapter = name.find(".lora_") != std::string::npos;
          EXPECT_EQ(values == before.at(name), !adapter && !IsRows(name))
              << name;
        }
        EXPECT_TRUE(after.contains("embedding.token.rows.weight"));
        EXPECT_TRUE(after.contains("head.rows.weight"));
        int64_t trained = 0;
        for (const Parameter* parameter : engine.update().parameters()) {
          if (parameter->trains()) trained += parameter->grad().elements();
        }
        EXPECT_EQ(trained,
                  models::TrainedParameterCount(engine.config().model));
        return absl::OkStatus();
      }));
}

// Off, as where preferences are measured, the table has the rows it had.
TEST(TokenRowsTest, OffTheyAreTheTables) {
  const auto loss = [](const EngineConfig& config, bool adapters) {
    double loss = 0;
    EISBACH_EXPECT_OK(
        test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
          EISBACH_RETURN_IF_ERROR(Fill(engine));
          Device& device = engine.context().device();
          EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                                   test::ToyInput(config, 1, 0, 1, device));
          nn::ForwardContext context{device.compute_stream()};
          context.adapters = adapters;
          models::Transformer& model = engine.model();
          EISBACH_ASSIGN_OR_RETURN(const Tensor hidden,
                                   model.Forward(input.tokens, context));
          EISBACH_ASSIGN_OR_RETURN(
              const Tensor sum,
              model.head().Loss(hidden, input.targets, 1, context));
          loss = sum.data<double>()[0];
          return absl::OkStatus();
        }));
    return loss;
  };
  EngineConfig plain = Config("gpt");
  plain.model.adapter = {};
  EXPECT_EQ(loss(Config("gpt"), false), loss(plain, true));
  EXPECT_NE(loss(Config("gpt"), true), loss(plain, true));
}

TEST(TokenRowsTest, GoOnFromACheckpoint) {
  const EngineConfig config = Config("gpt");
  const Layout saved_on{1, 2, 2};
  const test::TempFolder temp;
  Values straight;
  EISBACH_EXPECT_OK(test::OnEngines(
      saved_on, config, [&](Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(Fill(engine));
        for (int step = 1; step <= 4; ++step) {
          EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
          if (step != 2) continue;
          EISBACH_RETURN_IF_ERROR(
              test::SaveEngine(temp.path(), engine).status());
        }
        Values values = Gather(engine);
        if (rank == 0) straight = std::move(values);
        return absl::OkStatus();
      }));
  const std::string folder = checkpoint::StepFolder(temp.path(), 2);
  for (const Layout& layout : {saved_on, Layout{}, Layout{1, 3, 1}}) {
    Values got;
    EISBACH_EXPECT_OK(test::OnEngines(
        layout, config, [&](Engine& engine, int rank) -> absl::Status {
          EISBACH_RETURN_IF_ERROR(test::LoadEngine(folder, engine));
          for (int step = 3; step <= 4; ++step) {
            EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
          }
          Values values = Gather(engine);
          if (rank == 0) got = std::move(values);
          return absl::OkStatus();
        }));
    for (const auto& [name, values] : straight) {
      if (layout.ToString() == saved_on.ToString()) {
        EXPECT_TRUE(got.at(name) == values) << name;
      }
      for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_NEAR(got.at(name)[i], values[i], 2e-5) << name;
      }
    }
  }
  int64_t saved = 0;
  for (const checkpoint::LogicalTensor& tensor :
       Value(checkpoint::ReadWeights(folder)).tensors) {
    saved += static_cast<int64_t>(tensor.values.size());
  }
  EXPECT_EQ(saved, models::TrainedParameterCount(config.model));
}

TEST(TokenRowsTest, MergedTheyAreRowsOfTheTable) {
  for (const char* family : {"gpt", "llama"}) {
    const EngineConfig config = Config(family);
    for (const Layout& layout : {Layout{}, Layout{1, 3, 1}, Layout{1, 2, 2}}) {
      EISBACH_EXPECT_OK(test::OnEngines(
          layout, config, [&](Engine& engine, int rank) -> absl::Status {
            EISBACH_RETURN_IF_ERROR(Fill(engine));
            EISBACH_ASSIGN_OR_RETURN(
                const StepInput input,
                test::ToyInput(config, 1, 0, 1, engine.context().device()));
            EISBACH_ASSIGN_OR_RETURN(const double before,
                                     engine.Evaluate(input));
            Values old = Gather(engine);
            EISBACH_RETURN_IF_ERROR(engine.model().MergeAdapters(
                engine.context().device().compute_stream()));
            EISBACH_ASSIGN_OR_RETURN(const double after,
                                     engine.Evaluate(input));
            EXPECT_NEAR(before, after, 1e-6);
            const Values merged = Gather(engine);
            if (rank != 0) return absl::OkStatus();
            for (const std::string table : {"embedding.token", "head"}) {
              if (!old.contains(table + ".weight")) continue;
              std::vector<float> want = old.at(table + ".weight");
              const std::vector<float>& rows = old.at(table + ".rows.weight");
              for (size_t i = 0; i < rows.size(); ++i) {
                want[config.model.adapter.tokens[i / 24] * 24 + i % 24] =
                    rows[i];
              }
              EXPECT_TRUE(merged.at(table + ".weight") == want) << table;
            }
            return absl::OkStatus();
          }));
    }
  }
}

}  // namespace
}  // namespace eisbach::train::token_rows_test
