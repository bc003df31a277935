// Rows that ranks divide, with what the layouts of layouts_test.cc do not have.

#include <gtest/gtest.h>

#include "models/decoder.h"
#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::context_test {
namespace {

using parallel::ContextMethod;
using test::Layout;
using test::StatusIs;
using test::WithContext;

constexpr int kSteps = 4;

struct Method {
  int context;
  ContextMethod method;
  int group = 0;  // that exchanges heads
  int zero = 0;
};
constexpr Method kMethods[] = {{2, ContextMethod::kRing},
                               {2, ContextMethod::kUlysses},
                               {2, ContextMethod::kGather},
                               {4, ContextMethod::kRing},
                               {4, ContextMethod::kUlysses},
                               {4, ContextMethod::kUlyssesRing, 2},
                               {4, ContextMethod::kGather},
                               {8, ContextMethod::kUlyssesRing, 2},
                               {8, ContextMethod::kUlyssesRing, 4, 3}};

EngineConfig Config(const std::string& family) {
  EngineConfig config = test::ToyConfig(family);
  config.model.context = 48;
  config.model.layers = 3;
  config.global_batch = 4;
  config.micro_batch = 2;
  return config;
}

// By every method, on 2 and 4 ranks; 4 and 8 in groups.
void ExpectTrainsLikeOneRank(EngineConfig config, const std::string& what) {
  const test::Trained want =
      test::Value(test::TrainAndGather({}, config, kSteps));
  for (const auto& [context, method, group, zero] : kMethods) {
    config.context_method = method;
    config.ulysses_group = group;
    config.update.zero.zero = zero;
    const Layout layout = WithContext(context);
    test::ExpectTrainsLike(
        test::Value(test::TrainAndGather(layout, config, kSteps)), want,
        test::kFloat32Tolerance,
        absl::StrCat(what, " ", layout.ToString(), " ", Name(method), " ",
                     group));
  }
}

TEST(ContextTest, WindowsAndCapsSeeWhatTheyDoOnOneRank) {
  EngineConfig config = Config("llama");
  config.model.architecture.window = 7;
  config.model.architecture.window_full_every = 2;
  config.model.architecture.attention_cap = 3;
  config.model.architecture.attention_scale = 0.4;
  ExpectTrainsLikeOneRank(config, "window 7");
}

TEST(ContextTest, BlocksAreComputedAgain) {
  EngineConfig config = Config("gpt");
  config.recompute = nn::Recompute::kBlock;
  config.deferred_weights = true;
  config.model.dropout = 0.1f;
  ExpectTrainsLikeOneRank(config, "recompute");
}

TEST(ContextTest, AdaptersDropTheSameNumbers) {
  EngineConfig config = Config("llama");
  config.model.adapter = {.rank = 3, .alpha = 6, .dropout = 0.2f};
  ExpectTrainsLikeOneRank(config, "adapters");
}

// Three ranks, by no number of which the heads divide; six, where they divide
// by two.
TEST(ContextTest, AutoTakesTheRingWhereHeadsDoNotDivide) {
  EngineConfig config = Config("llama");
  const test::Trained want =
      test::Value(test::TrainAndGather({}, config, kSteps));
  for (const int context : {3, 6}) {
    test::ExpectTrainsLike(
        test::Value(test::TrainAndGather(WithContext(context), config, kSteps)),
        want, test::kFloat32Tolerance, absl::StrCat("auto on ", context));
  }
}

// What a run samples needs no other rank's rows.
TEST(ContextTest, LogitsAndDecodingAreThoseOfOneRank) {
  const EngineConfig config = Config("llama");
  const std::vector<int32_t> text{3, 1, 4, 1, 5};
  const auto decode = [&](const Layout& layout) {
    std::vector<float> fed, logits;
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
          return test::WithEngine(
              world, layout, config, [&](Engine& engine) -> absl::Status {
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
                EISBACH_ASSIGN_OR_RETURN(
                    const auto decoder,
                    models::Decoder::Make(engine.model(), engine.shape(),
                                          DType::kF32, engine.context()));
                EISBACH_ASSIGN_OR_RETURN(
                    std::vector<float> mine,
                    decoder->Feed({{.slot = 0, .tokens = text}}));
                EISBACH_ASSIGN_OR_RETURN(
                    const Tensor tokens,
                    Tensor::Empty(Shape{1, 5}, DType::kI32, world.device()));
                std::copy(text.begin(), text.end(), tokens.data<int32_t>());
                EISBACH_ASSIGN_OR_RETURN(const Tensor all,
                                         engine.Logits(tokens));
                if (world.rank() != 0) return absl::OkStatus();
                fed = std::move(mine);
                const float* last = all.data<float>() + 4 * all.dim(2);
                logits.assign(last, last + fed.size());
                return absl::OkStatus();
              });
        }));
    EXPECT_FALSE(fed.empty());
    fed.insert(fed.end(), logits.begin(), logits.end());
    return fed;
  };
  const std::vector<float> want = decode({}), got = decode(WithContext(2));
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 1e-5) << i;
  }
}

TEST(ContextTest, SaysWhatDoesNotFit) {
  EngineConfig config = Config("llama");
  const auto said = [&](int context) {
    return std::string(Engine::Validate(config, test::Value(test::MeshOf(
                                                    WithContext(context))))
                           .message());
  };
  EXPECT_EQ(said(5),
            "context=5 divides rows into 2 x 5 = 10 chunks, and 10 does not "
            "divide 48 tokens (parallel.context, model.context); nearest that "
            "works: 50 tokens");
  config.context_method = ContextMethod::kUlysses;
  EXPECT_EQ(said(4), "");
  EXPECT_EQ(said(3),
            "context=3 does not divide heads=24 and kv_heads=8, as "
            "context_method=ulysses must (parallel.context, "
            "parallel.context_method); context_method=ring takes any; nearest "
            "that works: context=2");
  config.context_method = ContextMethod::kUlyssesRing;
  config.ulysses_group = 3;
  EXPECT_EQ(said(4),
            "ulysses_group=3 does not divide context=4 "
            "(parallel.ulysses_group); nearest that works: 2");
}

TEST(ContextTest, RefusesStepsOfOtherLengths) {
  const EngineConfig config = Config("llama");
  EISBACH_EXPECT_OK(
      comm::RunLocalRanks(2, DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, WithContext(2), config, [&](Engine& engine) -> absl::Status {
              EngineConfig shorter = config;
              shorter.model.context = 10;
              EISBACH_ASSIGN_OR_RETURN(
                  const StepInput input,
                  test::ToyInput(shorter, 1, 0, 1, world.device()));
              EXPECT_THAT(engine.Step(input),
                          StatusIs(absl::StatusCode::kInvalidArgument,
                                   "4 does not divide 10 tokens"));
              return absl::OkStatus();
            });
      }));
}

}  // namespace
}  // namespace eisbach::train::context_test
