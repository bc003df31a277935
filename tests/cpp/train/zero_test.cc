// What data ranks divide changes neither what is learned nor, where sums go in
// one order, its bits.

#include <gtest/gtest.h>

#include <cstring>

#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::zero_test {
namespace {

using test::Gradients;
using test::Layout;
using test::Trained;

constexpr int kSteps = 5;

// What rank 0 sees of a run, and the weights in the end.
struct Course {
  Trained trained;
  Gradients weights;
};

absl::StatusOr<Course> RunOn(const Layout& layout, const EngineConfig& config) {
  Course run;
  EISBACH_RETURN_IF_ERROR(test::OnEngines(
      layout, config, [&](Engine& engine, int rank) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(Trained mine,
                                 test::TrainAndGather(engine, kSteps));
        EISBACH_ASSIGN_OR_RETURN(
            Gradients weights,
            checkpoint::GatherParameters(engine.update().parameters(),
                                         checkpoint::ParameterValue::kMaster,
                                         engine.context()));
        if (rank == 0) run = {std::move(mine), std::move(weights)};
        return absl::OkStatus();
      }));
  return run;
}

void ExpectSameTensors(const Gradients& got, const Gradients& want) {
  ASSERT_EQ(got.size(), want.size());
  EXPECT_FALSE(want.empty());
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(got[i].name, want[i].name);
    ASSERT_EQ(got[i].values.size(), want[i].values.size());
    // Bytes: a step that is skipped has gradients that are no numbers.
    EXPECT_EQ(std::memcmp(got[i].values.data(), want[i].values.data(),
                          want[i].values.size() * sizeof(float)),
              0)
        << want[i].name;
  }
}

void ExpectSameBits(const Course& got, const Course& want,
                    const std::string& what) {
  SCOPED_TRACE(what);
  const auto& curve = got.trained.curve;
  ASSERT_EQ(curve.size(), want.trained.curve.size());
  for (size_t i = 0; i < curve.size(); ++i) {
    const StepResult& step = want.trained.curve[i];
    EXPECT_EQ(curve[i].loss, step.loss) << i;
    EXPECT_EQ(curve[i].skipped, step.skipped) << i;
    if (step.skipped) continue;  // its norm is no number
    EXPECT_EQ(curve[i].grad_norm, step.grad_norm) << i;
  }
  ExpectSameTensors(got.trained.gradients, want.trained.gradients);
  ExpectSameTensors(got.weights, want.weights);
}

EngineConfig Config(const std::string& family, const std::string& optimizer,
                    DType compute) {
  EngineConfig config = test::SmallConfig(family);
  config.update.compute_dtype = compute;
  if (optimizer == "sgd") {
    config.update.optimizer.name = "sgd";
    config.update.optimizer.momentum = 0.9;
    config.update.schedule.learning_rate = 0.01;
  } else {
    config.update.optimizer.name = optimizer;
    config.update.optimizer.momentum = 0.95;
  }
  return config;
}

// Stages of `config` on `layout` against the first; those from `like` on alone
// to rounding. Returns the run of stage 0.
Course ExpectStagesAgree(const Layout& layout, EngineConfig config, int like) {
  config.update.zero = {.zero = 0};
  Course want = test::Value(RunOn(layout, config));
  for (int zero = 1; zero <= 3; ++zero) {
    config.update.zero.zero = zero;
    const std::string what =
        absl::StrCat(layout.ToString(), " ", config.model.family, " ",
                     config.update.optimizer.name, " ",
                     Name(config.update.compute_dtype), " zero=", zero);
    const Course got = test::Value(RunOn(layout, config));
    if (zero < like) {
      ExpectSameBits(got, want, what);
    } else {
      test::ExpectTrainsLike(got.trained, want.trained,
                             test::ToleranceOf(config.update.compute_dtype),
                             what);
    }
  }
  return want;
}

constexpr int kAll = 4;  // every stage has the bits of the first

// One micro-batch a rank: gradients are summed in one order in every stage.
TEST(Zero, HasTheSameBitsWithOneMicroBatch) {
  for (const char* family : {"gpt", "llama"}) {
    for (const char* optimizer : {"adamw", "sgd"}) {
      for (const DType compute : {DType::kF32, DType::kBF16}) {
        EngineConfig config = Config(family, optimizer, compute);
        for (const int data : {2, 4}) {
          config.micro_batch = config.global_batch / data;
          ExpectStagesAgree({data, 1, 1}, config, kAll);
        }
        config.micro_batch = config.global_batch / 2;
        ExpectStagesAgree({2, 2, 1}, config, kAll);
      }
    }
  }
}

// Matrices that are put together from parts, an odd number of them for the
// ranks, some of which have none of a parameter; adapters' factors as well.
TEST(Zero, HasTheSameBitsWhereWholeMatricesAreUpdated) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    EngineConfig config = Config("llama", "muon", compute);
    for (const Layout& layout : {Layout{2, 1, 1}, {4, 1, 1}, {2, 2, 1}}) {
      config.micro_batch = config.global_batch / layout.data;
      ExpectStagesAgree(layout, config, kAll);
    }
  }
  EngineConfig config = Config("gpt", "muon", DType::kF32);
  config.micro_batch = 4;
  config.model.adapter = {.rank = 3, .alpha = 6};
  config.update.optimizer.average_decay = 0.9;
  ExpectStagesAgree({2, 2, 1}, config, kAll);
}

// Ranks that divide rows divide the rest as those do that see other samples.
TEST(Zero, DividesOverContextToo) {
  EngineConfig config = Config("gpt", "adamw", DType::kF32);
  config.model.context = 8;
  for (const Layout& layout :
       {test::WithContext(2), test::WithContext(2, {2, 1, 1})}) {
    config.micro_batch = config.global_batch / layout.data;
    ExpectStagesAgree(layout, config, kAll);
  }
}

// Several: from the second stage on a micro-batch is summed over ranks before
// it is added to the others.
TEST(Zero, TrainsAlikeWithSeveralMicroBatches) {
  for (const Layout& layout :
       {Layout{2, 1, 1}, Layout{2, 1, 2}, Layout{2, 2, 2}, Layout{4, 1, 2}}) {
    for (const char* family : {"gpt", "llama"}) {
      EngineConfig config = Config(family, "adamw", DType::kF32);
      config.micro_batch = 1;
      const Course zero = ExpectStagesAgree(layout, config, 2);
      const Trained one = test::Value(test::TrainAndGather(
          {}, Config(family, "adamw", DType::kF32), kSteps));
      test::ExpectTrainsLike(zero.trained, one, test::kFloat32Tolerance,
                             layout.ToString());
    }
  }
}

// Everything that works on buckets or counts contributions.
TEST(Zero, GoesTogetherWithTheRest) {
  const Layout layout{2, 1, 1};
  EngineConfig plain = Config("gpt", "adamw", DType::kBF16);
  plain.micro_batch = 4;
  EngineConfig config = plain;
  config.update.optimizer.stochastic_rounding = true;
  ExpectStagesAgree(layout, config, kAll);
  config = plain;
  config.update.compute_dtype = DType::kF16;
  config.update.initial_loss_scale = 1 << 18;  // some steps are skipped
  ExpectStagesAgree(layout, config, kAll);
  config = plain;
  config.recompute = nn::Recompute::kBlock;
  config.model.dropout = 0.1f;
  ExpectStagesAgree(layout, config, kAll);
  config = plain;
  config.deferred_weights = true;
  ExpectStagesAgree({2, 1, 2}, config, kAll);
  config = plain;
  config.update.optimizer.groups = {
      {.patterns = {"blocks.[01].*"}, .frozen = true},
      {.patterns = {"*norm*"}, .rate_factor = 0.5, .weight_decay = 0}};
  ExpectStagesAgree(layout, config, kAll);
  for (const char* family : {"gpt", "llama", "qwen3"}) {
    config = Config(family, "adamw", DType::kF32);
    config.micro_batch = 4;
    config.model.adapter = {.rank = 3, .alpha = 6};
    ExpectStagesAgree({2, 2, 1}, config, kAll);
  }
}

// Weight gradients that wait while others are written: a bucket's parameters
// then hear of several micro-batches at once.
TEST(Zero, TakesContributionsInAnyOrder) {
  EngineConfig config = Config("gpt", "adamw", DType::kF32);
  config.micro_batch = 1;
  config.deferred_weights = true;
  config.update.bucket_bytes = 1 << 8;  // one parameter each
  ExpectStagesAgree({2, 1, 2}, config, 2);
}

TEST(Zero, DividesInsideGroupsOfNeighbours) {
  EngineConfig config = Config("gpt", "adamw", DType::kF32);
  config.micro_batch = 2;
  const Layout layout{4, 1, 1};
  const Course want = test::Value(RunOn(layout, config));
  config.update.zero = {.zero = 1, .group = 2};
  const Course first = test::Value(RunOn(layout, config));
  test::ExpectTrainsLike(first.trained, want.trained, test::kFloat32Tolerance,
                         "groups of two");
  for (const int zero : {2, 3}) {
    config.update.zero.zero = zero;
    ExpectSameBits(test::Value(RunOn(layout, config)), first,
                   absl::StrCat("groups of two, zero=", zero));
  }
}

TEST(Zero, BringsWeightsAheadOrNot) {
  EngineConfig config = Config("llama", "adamw", DType::kF32);
  config.micro_batch = 2;
  config.update.zero = {.zero = 3, .prefetch = 0};
  const Course want = test::Value(RunOn({2, 1, 1}, config));
  for (const int prefetch : {1, 5, 1000}) {
    config.update.zero.prefetch = prefetch;
    ExpectSameBits(test::Value(RunOn({2, 1, 1}, config)), want,
                   absl::StrCat("prefetch=", prefetch));
  }
}

// Gradients that are rounded once on their way.
TEST(Zero, TakesHalfTheBytesOnTheWire) {
  for (const Layout& layout : {Layout{2, 1, 1}, Layout{4, 1, 1}}) {
    EngineConfig config = Config("gpt", "adamw", DType::kF32);
    config.micro_batch = 1;
    const Course want = test::Value(RunOn(layout, config));
    config.update.zero = {.zero = 2, .wire = DType::kBF16};
    const Course got = test::Value(RunOn(layout, config));
    test::ExpectTrainsLike(got.trained, want.trained, test::kBfloat16Tolerance,
                           layout.ToString());
    ExpectSameBits(test::Value(RunOn(layout, config)), got, "once more");
    config.update.zero.zero = 3;
    ExpectSameBits(test::Value(RunOn(layout, config)), got, "zero=3");
  }
}

// Between steps, when weights of stage 3 are not there.
TEST(Zero, EvaluatesBetweenSteps) {
  EngineConfig config = Config("gpt", "adamw", DType::kF32);
  std::vector<double> want;
  for (int zero = 0; zero <= 3; ++zero) {
    config.micro_batch = config.global_batch / 2;
    config.update.zero.zero = zero;
    std::vector<double> losses;
    EISBACH_EXPECT_OK(test::OnEngines(
        {2, 1, 1}, config, [&](Engine& engine, int rank) -> absl::Status {
          for (int step = 0; step < 3; ++step) {
            EISBACH_ASSIGN_OR_RETURN(
                const StepInput input,
                test::ToyInput(config, 50 + step,
                               engine.context().index(Axis::kData), 2,
                               engine.context().device()));
            EISBACH_ASSIGN_OR_RETURN(const double loss, engine.Evaluate(input));
            if (rank == 0) losses.push_back(loss);
            EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
          }
          return absl::OkStatus();
        }));
    if (zero == 0) want = losses;
    EXPECT_EQ(losses, want) << zero;
  }
}

// A step that is void, and one that is computed again, change nothing.
TEST(Zero, StepsAreJudgedAlike) {
  EngineConfig config = Config("gpt", "adamw", DType::kF32);
  config.micro_batch = config.global_batch / 2;
  config.spikes.on_spike = optim::OnSpike::kRerun;
  config.spikes.rule = {.window = 4, .deviations = 6};
  ExpectStagesAgree({2, 1, 1}, config, kAll);
}

TEST(Zero, ReplicasAreComparedWhereThereAreSome) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    for (int zero = 1; zero <= 3; ++zero) {
      EngineConfig config = Config("gpt", "adamw", compute);
      config.hash_every = 1;
      config.update.zero.zero = zero;
      EISBACH_EXPECT_OK(test::OnEngines(
          {2, 2, 1}, config, [&](Engine& engine, int) -> absl::Status {
            for (int step = 1; step <= 3; ++step) {
              EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
              EXPECT_EQ(engine.replicas()->equal_at(), zero == 3 ? 0 : step);
            }
            return absl::OkStatus();
          }));
    }
  }
}

TEST(Zero, SaysWhatDoesNotFit) {
  EngineConfig config = Config("gpt", "adamw", DType::kF32);
  const auto said = [&](const parallel::ZeroConfig& zero, int data) {
    config.update.zero = zero;
    return std::string(
        Engine::Validate(config, test::Value(test::MeshOf({data, 1, 1})))
            .message());
  };
  EXPECT_EQ(said({.zero = 4}, 2),
            "zero=4 is outside [0, 3] (parallel.zero); nearest that works: 3");
  EXPECT_EQ(said({.zero = 1, .group = 3}, 4),
            "zero_group=3 does not divide the 4 ranks of data x context into "
            "groups of at least 2 (parallel.zero_group); nearest that works: "
            "2");
  EXPECT_EQ(said({.zero = 0, .group = 2}, 4),
            "zero_group=2 divides nothing with zero=0 (parallel.zero_group); "
            "nearest that works: auto");
  EXPECT_EQ(said({.zero = 3, .prefetch = -1}, 4),
            "zero_prefetch=-1 is below 0 (parallel.zero_prefetch); nearest "
            "that works: 0");
  EXPECT_EQ(said({.zero = 1, .wire = DType::kBF16}, 4),
            "reduce_wire=bf16 is of gradients that ranks divide, zero=2 or 3, "
            "not zero=1 (parallel.reduce_wire); nearest that works: f32");
  EXPECT_EQ(said({.zero = 3, .group = 2}, 4), "");
}

}  // namespace
}  // namespace eisbach::train::zero_test
