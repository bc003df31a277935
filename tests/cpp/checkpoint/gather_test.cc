#include "checkpoint/gather.h"

#include <cmath>
#include <limits>
#include <map>
#include <mutex>

#include "core/axis.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "tensor/init.h"

namespace eisbach::checkpoint::gather_test {
namespace {

using test::Layout;
using test::StatusIs;

using Tensors = std::vector<LogicalTensor>;

// The gathered values on `layout` after `steps` training steps.
Tensors Gathered(const Layout& layout, const train::EngineConfig& config,
                 ParameterValue value, int steps) {
  Tensors result;
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, config, [&](train::Engine& engine, int rank) -> absl::Status {
        for (int i = 0; i < steps; ++i) {
          EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        }
        EISBACH_ASSIGN_OR_RETURN(Tensors tensors,
                                 GatherParameters(engine.update().parameters(),
                                                  value, engine.context()));
        EXPECT_EQ(tensors.empty(), rank != 0);
        if (rank == 0) result = std::move(tensors);
        return absl::OkStatus();
      }));
  return result;
}

void ExpectSame(const Tensors& got, const Tensors& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].name, want[i].name);
    EXPECT_EQ(got[i].shape, want[i].shape) << got[i].name;
    EXPECT_EQ(got[i].values, want[i].values) << got[i].name;
  }
}

class GatherParametersTest : public testing::TestWithParam<const char*> {
 protected:
  const train::EngineConfig config_ = test::SmallConfig(GetParam());
};

TEST_P(GatherParametersTest, HasEveryInitialValueOfTheModel) {
  const Tensors tensors =
      Gathered({}, config_, ParameterValue::kMaster, /*steps=*/0);
  std::map<std::string, Init> inits;
  EISBACH_ASSERT_OK(test::OnEngines(
      {}, config_, [&](train::Engine& engine, int) -> absl::Status {
        for (const Parameter* parameter : engine.update().parameters()) {
          for (const LogicalSlice& slice : parameter->spec().slices) {
            inits[slice.name] = parameter->spec().init;
          }
        }
        return absl::OkStatus();
      }));
  EXPECT_EQ(inits.size(), tensors.size());
  int64_t elements = 0;
  const auto device = test::Value(MakeDevice(DeviceType::kCpu));
  Stream& stream = device->compute_stream();
  for (const LogicalTensor& tensor : tensors) {
    elements += tensor.shape.elements();
    Parameter alone(
        WholeParam(tensor.name, tensor.shape, inits[tensor.name], false));
    const Tensor memory =
        test::Value(Tensor::Zeros(tensor.shape, DType::kF32, stream));
    alone.Bind({.data = memory, .grad = memory, .master = memory});
    EISBACH_ASSERT_OK(InitParameter(alone, config_.update.seed, stream));
    const float* data = memory.data<float>();
    EXPECT_EQ(tensor.values,
              std::vector<float>(data, data + tensor.values.size()))
        << tensor.name;
  }
  EXPECT_EQ(elements, models::ParameterCount(config_.model));
}

TEST_P(GatherParametersTest, GivesTheSameBitsOnEveryLayout) {
  const Tensors want =
      Gathered({}, config_, ParameterValue::kMaster, /*steps=*/0);
  for (const Layout& layout : test::kLayouts) {
    SCOPED_TRACE(layout.ToString());
    ExpectSame(Gathered(layout, config_, ParameterValue::kMaster, 0), want);
  }
}

TEST_P(GatherParametersTest, GivesGradientsOfEveryLayout) {
  const Tensors want =
      Gathered({}, config_, ParameterValue::kGradient, /*steps=*/1);
  for (const Layout& layout : test::kLayouts) {
    SCOPED_TRACE(layout.ToString());
    const Tensors got =
        Gathered(layout, config_, ParameterValue::kGradient, /*steps=*/1);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].name, want[i].name);
      float largest = 0, error = 0;
      for (size_t e = 0; e < want[i].values.size(); ++e) {
        largest = std::max(largest, std::abs(want[i].values[e]));
        error = std::max(error, std::abs(got[i].values[e] - want[i].values[e]));
      }
      EXPECT_GT(largest, 0) << got[i].name;
      // The gradient of the key's bias is zero but for rounding: softmax does
      // not see it.
      EXPECT_LE(error, 1e-4f * largest + 1e-8f) << got[i].name;
    }
  }
}

TEST_P(GatherParametersTest, ComesBackByScatterOnAnotherLayout) {
  const Tensors want = Gathered({}, config_, ParameterValue::kMaster, 1);
  const LogicalLookup find =
      [&](const std::string& name) -> const LogicalTensor* {
    for (const LogicalTensor& tensor : want) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  };
  for (const Layout& layout : test::kLayouts) {
    SCOPED_TRACE(layout.ToString());
    EISBACH_EXPECT_OK(test::OnEngines(
        layout, config_, [&](train::Engine& engine, int rank) -> absl::Status {
          const auto& parameters = engine.update().parameters();
          Stream& stream = engine.context().device().compute_stream();
          EISBACH_RETURN_IF_ERROR(ScatterParameters(parameters, find, stream));
          EISBACH_ASSIGN_OR_RETURN(
              const Tensors got,
              GatherParameters(parameters, ParameterValue::kMaster,
                               engine.context()));
          if (rank == 0) ExpectSame(got, want);
          // Replicas as well: the model computes what one rank does.
          EISBACH_RETURN_IF_ERROR(engine.update().RefreshData());
          engine.update().set_step(1);
          return test::ToyStep(engine).status();
        }));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GatherParametersTest,
                         testing::Values("gpt", "llama"),
                         [](const auto& info) { return info.param; });

TEST(GatherParameters, GivesAllRanksTheErrorOfTheVisitor) {
  const Layout layout{2, 2, 2};
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, test::SmallConfig("gpt"),
      [](train::Engine& engine, int rank) -> absl::Status {
        int visits = 0;
        EXPECT_THAT(
            GatherParameters(engine.update().parameters(),
                             ParameterValue::kMaster, engine.context(),
                             [&](const LogicalView&) -> absl::Status {
                               if (++visits < 3) return absl::OkStatus();
                               return absl::ResourceExhaustedError("disk full");
                             }),
            StatusIs(absl::StatusCode::kResourceExhausted,
                     "rank 0: disk full"));
        EXPECT_EQ(visits, rank == 0 ? 3 : 0);
        // And the ranks are still in step.
        return GatherParameters(engine.update().parameters(),
                                ParameterValue::kMaster, engine.context())
            .status();
      }));
}

TEST(GatherParameters, NamesATensorThatIsNotCoveredOnce) {
  const Layout layout{1, 2, 1};
  for (const bool primary : {false, true}) {
    EISBACH_EXPECT_OK(test::OnEngines(
        layout, test::SmallConfig("gpt"),
        [&](train::Engine& engine, int rank) -> absl::Status {
          const std::string name =
              primary ? "final_norm.weight" : "blocks.1.mlp.up.weight";
          for (Parameter* parameter : engine.update().parameters()) {
            if (parameter->spec().name == name && rank == 1) {
              parameter->mutable_spec().slices[0].primary = primary;
            }
          }
          EXPECT_THAT(
              GatherParameters(engine.update().parameters(),
                               ParameterValue::kMaster, engine.context()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       primary ? "\"final_norm.weight\": [0, 24) is there twice"
                               : "\"blocks.1.mlp.up.weight\": no rank is "
                                 "primary for 432 of its 864 elements"));
          return absl::OkStatus();
        }));
  }
}

TEST(GatherParameters, KeepsTheModelsOrderWhateverTheOrderOfAxes) {
  const train::EngineConfig config = test::SmallConfig("llama");
  const Tensors want = Gathered({}, config, ParameterValue::kMaster, 0);
  const parallel::MeshOptions options{
      .data = 1,
      .tensor = 2,
      .pipeline = 2,
      .order = {Axis::kTensor, Axis::kContext, Axis::kData, Axis::kPipeline}};
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      4, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(auto mesh, parallel::MakeMesh(4, options));
        EISBACH_ASSIGN_OR_RETURN(auto context,
                                 parallel::ParallelContext::Make(world, mesh));
        EISBACH_ASSIGN_OR_RETURN(auto engine,
                                 train::Engine::Make(config, *context));
        EISBACH_ASSIGN_OR_RETURN(
            const Tensors got,
            GatherParameters(engine->update().parameters(),
                             ParameterValue::kMaster, *context));
        if (world.rank() == 0) ExpectSame(got, want);
        return absl::OkStatus();
      }));
}

TEST(ScatterParameters, WritesNothingWhenATensorIsMissingOrWrong) {
  EISBACH_EXPECT_OK(test::OnEngines(
      {}, test::SmallConfig("gpt"),
      [](train::Engine& engine, int) -> absl::Status {
        const auto& parameters = engine.update().parameters();
        EISBACH_ASSIGN_OR_RETURN(
            Tensors tensors,
            GatherParameters(parameters, ParameterValue::kMaster,
                             engine.context()));
        Tensors wrong = tensors;
        for (LogicalTensor& tensor : wrong) {
          std::fill(tensor.values.begin(), tensor.values.end(), 5.0f);
        }
        wrong.back().shape = Shape{1, 24};
        const auto find_in = [](const Tensors& list) {
          return [&list](const std::string& name) -> const LogicalTensor* {
            for (const LogicalTensor& tensor : list) {
              if (tensor.name == name) return &tensor;
            }
            return nullptr;
          };
        };
        Stream& stream = engine.context().device().compute_stream();
        EXPECT_THAT(ScatterParameters(parameters, find_in(wrong), stream),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             "tensor \"final_norm.bias\" is [1, 24]"));
        wrong.pop_back();
        EXPECT_THAT(ScatterParameters(parameters, find_in(wrong), stream),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             "no tensor \"final_norm.bias\""));
        Tensors broken = tensors;
        broken.back().values[3] = std::numeric_limits<float>::quiet_NaN();
        EXPECT_THAT(ScatterParameters(parameters, find_in(broken), stream),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             "\"final_norm.bias\" holds nan at element 3"));
        EISBACH_ASSIGN_OR_RETURN(
            const Tensors after,
            GatherParameters(parameters, ParameterValue::kMaster,
                             engine.context()));
        ExpectSame(after, tensors);
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::checkpoint::gather_test
