// Low-rank adapters beside a model that stays as it is, on every layout.

#include <gtest/gtest.h>

#include <map>

#include "checkpoint/folder.h"
#include "checkpoint/read_weights.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "plan/estimate.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"
#include "support/trained.h"
#include "tensor/init.h"

namespace eisbach::train::adapters_test {
namespace {

using test::Layout;
using test::Trained;
using test::Value;
using Values = std::map<std::string, std::vector<float>>;

constexpr int kSteps = 6;

EngineConfig Config(const std::string& family) {
  EngineConfig config = test::SmallConfig(family);
  config.model.adapter = {.rank = 3, .alpha = 6};
  config.update.schedule.learning_rate = 1e-3;
  config.update.schedule.min_learning_rate = 1e-3;
  return config;
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

bool IsAdapter(const std::string& name) {
  return name.find(".lora_") != std::string::npos;
}

// Values of B that are not zero, for else A has no gradient in the first step.
absl::Status Stir(Engine& engine) {
  Stream& stream = engine.context().device().compute_stream();
  for (Parameter* parameter : engine.update().parameters()) {
    ParamSpec& spec = parameter->mutable_spec();
    if (spec.role != AdapterRole::kFactor ||
        spec.init.kind != Init::Kind::kZeros) {
      continue;
    }
    spec.init = {Init::Kind::kNormal, 0.05f};
    EISBACH_RETURN_IF_ERROR(InitParameter(*parameter, 77, stream));
  }
  return engine.update().RefreshData();
}

absl::StatusOr<Trained> TrainStirred(const Layout& layout,
                                     const EngineConfig& config) {
  Trained trained;
  EISBACH_RETURN_IF_ERROR(test::OnEngines(
      layout, config, [&](Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(Stir(engine));
        EISBACH_ASSIGN_OR_RETURN(Trained mine,
                                 test::TrainAndGather(engine, kSteps));
        if (rank == 0) trained = std::move(mine);
        return absl::OkStatus();
      }));
  return trained;
}

// llama's key/value heads are shared by tensor ranks; a qwen3 has head norms;
// gpt's query, key and value have one A.
void ExpectLayoutsAgree(const EngineConfig& config,
                        const test::Tolerances& tolerance) {
  const Trained one = Value(TrainStirred({}, config));
  EXPECT_GT(one.curve.back().grad_norm, 0.1);
  for (const Layout& layout : test::kLayouts) {
    EngineConfig other = config;
    other.recompute = layout.pipeline == 2 ? nn::Recompute::kBlock
                                           : nn::Recompute::kSelective;
    other.deferred_weights = layout.tensor == 2;
    test::ExpectTrainsLike(Value(TrainStirred(layout, other)), one, tolerance,
                           layout.ToString());
  }
}

TEST(AdaptersTest, EveryLayoutTrainsLikeOneRank) {
  for (const char* family : {"gpt", "llama", "qwen2"}) {
    ExpectLayoutsAgree(Config(family), test::kFloat32Tolerance);
  }
}

TEST(AdaptersTest, InSixteenBits) {
  for (DType dtype : {DType::kBF16, DType::kF16}) {
    EngineConfig config = Config("llama");
    config.update.compute_dtype = dtype;
    config.update.schedule.learning_rate = 1e-4;
    config.update.schedule.min_learning_rate = 1e-4;
    // A's gradient has been rounded once more than the base's.
    ExpectLayoutsAgree(config, {1e-2, 0.1, 2e-6});
  }
}

// The mask of a row-parallel layer is that of its features in the whole.
TEST(AdaptersTest, WithDropout) {
  EngineConfig config = Config("llama");
  config.model.adapter.dropout = 0.3;
  ExpectLayoutsAgree(config, test::kFloat32Tolerance);
}

TEST(AdaptersTest, OfSomeProjectionsAndWithTables) {
  EngineConfig config = Config("llama");
  config.model.adapter.targets = {"key", "down"};
  config.model.adapter.rslora = true;
  config.model.adapter.saved = {"head"};
  ExpectLayoutsAgree(config, test::kFloat32Tolerance);
  config = Config("gpt");
  config.model.adapter.saved = {"embedding", "head"};  // tied, over stages
  ExpectLayoutsAgree(config, test::kFloat32Tolerance);
}

TEST(AdaptersTest, NothingElseChanges) {
  EngineConfig config = Config("llama");
  config.model.adapter.targets = {"query", "up"};
  config.model.adapter.saved = {"head"};
  EISBACH_EXPECT_OK(
      test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
        const Values before = Gather(engine);
        for (int step = 0; step < 2; ++step) {
          EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        }
        const Values after = Gather(engine);
        for (const auto& [name, values] : after) {
          EXPECT_EQ(values == before.at(name),
                    !IsAdapter(name) && name != "head.weight")
              << name;
        }
        EXPECT_TRUE(after.contains("blocks.4.mlp.up.lora_a.weight"));
        EXPECT_FALSE(after.contains("blocks.4.mlp.gate.lora_a.weight"));
        return absl::OkStatus();
      }));
}

// At the beginning it is the model itself.
TEST(AdaptersTest, NewOnesChangeNothing) {
  EngineConfig plain = Config("llama");
  plain.model.adapter = {};
  const auto first = [&](const EngineConfig& config) {
    return Value(test::TrainAndGather({}, config, 1)).curve[0].loss;
  };
  EXPECT_EQ(first(Config("llama")), first(plain));
}

// Off, they leave the model as it is, which is what preferences are measured
// against (DPO).
TEST(AdaptersTest, OffTheyChangeNothing) {
  const auto hidden = [](const EngineConfig& config, bool adapters) {
    std::vector<float> values;
    EISBACH_EXPECT_OK(
        test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
          EISBACH_RETURN_IF_ERROR(Stir(engine));
          Device& device = engine.context().device();
          EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                                   test::ToyInput(config, 1, 0, 1, device));
          nn::ForwardContext context{device.compute_stream()};
          context.adapters = adapters;
          EISBACH_ASSIGN_OR_RETURN(
              const Tensor out, engine.model().Forward(input.tokens, context));
          values.assign(out.data<float>(), out.data<float>() + out.elements());
          return absl::OkStatus();
        }));
    return values;
  };
  EngineConfig plain = Config("llama");
  plain.model.adapter = {};
  EXPECT_EQ(hidden(Config("llama"), false), hidden(plain, true));
  EXPECT_NE(hidden(Config("llama"), true), hidden(plain, true));
}

// No gradient, master or state of the base.
TEST(AdaptersTest, TheBaseTakesItsWeightsAlone) {
  EngineConfig config = Config("llama");
  config.update.compute_dtype = DType::kBF16;
  const parallel::Mesh mesh = Value(test::MeshOf({}));
  const plan::RankMemory some = Value(plan::EstimateMemory(config, mesh, 0));
  const int64_t trained = models::TrainedParameterCount(config.model);
  config.model.adapter = {};
  const plan::RankMemory all = Value(plan::EstimateMemory(config, mesh, 0));
  EXPECT_EQ(some.parameters, all.parameters + trained);
  // Gaps of alignment, below 256 bytes a parameter.
  const int64_t gaps = 256 * 5 * 20;
  EXPECT_NEAR(some.gradients, 4 * trained, gaps);
  EXPECT_EQ(some.masters, some.gradients);
  EXPECT_EQ(some.optimizer, 2 * some.gradients);
  EXPECT_NEAR(some.weights, all.weights + 2 * trained, gaps);
}

// Of products of matrices, while it lives.
class MatmulFlops final : public Recorder {
 public:
  explicit MatmulFlops(Device& device) : device_(device) {
    device_.set_recorder(this);
  }
  ~MatmulFlops() override { device_.set_recorder(nullptr); }
  void OnOp(absl::string_view name, const OpCost& cost,
            const Stream&) override {
    if (name == "matmul") sum += cost.flops;
  }
  void OnCollective(absl::string_view, absl::string_view, const CollectiveCost&,
                    const Stream&) override {}

  double sum = 0;

 private:
  Device& device_;
};

// Of the base no weight gradient is computed, and of the lowest adapter's block
// and the embedding no gradient of an input.
TEST(AdaptersTest, NoWorkIsWasted) {
  EngineConfig config = Config("llama");
  config.model.adapter.targets = {"down"};
  double flops = 0;
  EISBACH_EXPECT_OK(
      test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
        const MatmulFlops counted(engine.context().device());
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        flops = counted.sum;
        return absl::OkStatus();
      }));
  const double layer =
      static_cast<double>(models::MatrixWeightsOfLayer(config.model));
  const double head = 29 * 24;
  const double a = 3 * 36, b = 3 * 24;
  const double forward = 5 * (layer + a + b) + head;
  const double input_gradients = 4 * (layer + a) + 5 * b + head;
  const double weight_gradients = 5 * (a + b);
  EXPECT_EQ(flops, 2 * 8 * 6 * (forward + input_gradients + weight_gradients));
}

// A checkpoint has the adapters alone; what is trained on is the same on the
// same layout bit for bit, on another one to rounding.
TEST(AdaptersTest, GoOnFromACheckpoint) {
  const EngineConfig config = Config("llama");
  const Layout saved_on{1, 2, 2};
  const test::TempFolder temp;
  Values straight;
  EISBACH_EXPECT_OK(test::OnEngines(
      saved_on, config, [&](Engine& engine, int rank) -> absl::Status {
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
  for (const Layout& layout : {saved_on, Layout{}, Layout{2, 1, 2}}) {
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
  const checkpoint::SavedWeights weights =
      Value(checkpoint::ReadWeights(folder));
  EXPECT_FALSE(weights.tensors.empty());
  for (const checkpoint::LogicalTensor& tensor : weights.tensors) {
    EXPECT_TRUE(IsAdapter(tensor.name)) << tensor.name;
  }
}

// What the model computes stays, on any layout; the adapters are zero.
TEST(AdaptersTest, MergedTheyArePartOfTheWeights) {
  for (const char* family : {"gpt", "llama"}) {
    const EngineConfig config = Config(family);
    Values one;
    for (const Layout& layout : {Layout{}, Layout{1, 2, 1}, Layout{1, 2, 2}}) {
      EISBACH_EXPECT_OK(test::OnEngines(
          layout, config, [&](Engine& engine, int rank) -> absl::Status {
            EISBACH_RETURN_IF_ERROR(Stir(engine));
            EISBACH_ASSIGN_OR_RETURN(
                const StepInput input,
                test::ToyInput(config, 1, 0, 1, engine.context().device()));
            EISBACH_ASSIGN_OR_RETURN(const double before,
                                     engine.Evaluate(input));
            const Values base = Gather(engine);
            EISBACH_RETURN_IF_ERROR(engine.model().MergeAdapters(
                engine.context().device().compute_stream()));
            EISBACH_ASSIGN_OR_RETURN(const double after,
                                     engine.Evaluate(input));
            EXPECT_NEAR(before, after, 1e-6);
            Values merged = Gather(engine);
            if (rank != 0) return absl::OkStatus();
            if (one.empty()) one = merged;
            for (const auto& [name, values] : merged) {
              for (size_t i = 0; i < values.size(); ++i) {
                EXPECT_NEAR(values[i], one.at(name)[i], 1e-6) << name;
                if (name.ends_with(".lora_b.weight")) {
                  EXPECT_EQ(values[i], 0);
                }
              }
              const bool adapted = name.ends_with(".query.weight") ||
                                   name.ends_with(".down.weight");
              if (adapted) {
                EXPECT_TRUE(values != base.at(name)) << name;
              }
            }
            return absl::OkStatus();
          }));
    }
  }
  EngineConfig config = Config("llama");
  config.update.compute_dtype = DType::kBF16;
  EXPECT_THAT(
      test::OnEngines({}, config,
                      [](Engine& engine, int) {
                        return engine.model().MergeAdapters(
                            engine.context().device().compute_stream());
                      }),
      test::StatusIs(absl::StatusCode::kFailedPrecondition, "merged in f32"));
}

// Groups are of what trains: LoRA+ (arXiv:2402.12354) is a rate of B.
TEST(AdaptersTest, GroupsAreOfWhatTrains) {
  EngineConfig config = Config("llama");
  config.update.optimizer.groups = {
      {.patterns = {"*.lora_b.weight"}, .rate_factor = 16},
      {.patterns = {"*.down.lora_a.weight"}, .frozen = true}};
  EISBACH_EXPECT_OK(
      test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
        for (const Parameter* parameter : engine.update().parameters()) {
          const ParamSpec& spec = parameter->spec();
          EXPECT_EQ(parameter->trains(),
                    IsAdapter(spec.name) &&
                        !spec.name.ends_with(".down.lora_a.weight"))
              << spec.name;
        }
        return test::ToyStep(engine).status();
      }));
  config.update.optimizer.groups = {
      {.patterns = {"*norm*"}, .rate_factor = 0.5}};
  EXPECT_THAT(Engine::Validate(config, Value(test::MeshOf({}))),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "\"*norm*\" is the name of no parameter"));
}

}  // namespace
}  // namespace eisbach::train::adapters_test
