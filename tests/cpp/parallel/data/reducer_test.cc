#include "parallel/data/reducer.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "comm/world.h"
#include "support/op_testing.h"

namespace eisbach::parallel {
namespace {

using ::testing::Each;

constexpr int kParameters = 6;
constexpr int64_t kElements = 100;

// One rank's parameters, two a bucket: bucket 0 holds 5 and 4, the last ones
// of forward.
struct Stage {
  static absl::StatusOr<std::unique_ptr<Stage>> Make(Stream& stream) {
    auto stage = std::make_unique<Stage>();
    std::vector<Parameter*> list;
    for (int i = 0; i < kParameters; ++i) {
      stage->parameters.push_back(std::make_unique<Parameter>(
          WholeParam(absl::StrCat("p", i), {kElements}, {}, true)));
      list.push_back(stage->parameters.back().get());
    }
    EISBACH_ASSIGN_OR_RETURN(
        stage->buffer,
        FlatBuffer::Make(list, DType::kF32, 2 * 128 * 4, stream));
    EXPECT_EQ(stage->buffer->buckets().size(), 3);
    return stage;
  }

  Parameter& operator[](int i) { return *parameters[i]; }

  std::vector<std::unique_ptr<Parameter>> parameters;
  std::unique_ptr<FlatBuffer> buffer;
};

// What a backward op does: overwrites or adds, then tells the sink.
absl::Status Contribute(Parameter& parameter, float value) {
  float* grad = parameter.grad().data<float>();
  for (int64_t i = 0; i < parameter.grad().elements(); ++i) {
    grad[i] = (parameter.accumulate() ? grad[i] : 0.0f) + value;
  }
  return parameter.GradientWritten();
}

absl::Status OnRanks(int size,
                     const std::function<absl::Status(comm::World&)>& body) {
  return comm::RunLocalRanks(size, DeviceType::kCpu, /*threads=*/1, body);
}

using ReducerPtr = std::unique_ptr<GradientReducer>;

absl::StatusOr<ReducerPtr> MakeReducer(Stage& stage, comm::World& world,
                                       const ParameterUses& uses = {}) {
  return GradientReducer::Make(*stage.buffer, world.communicator(), uses,
                               world.device().compute_stream());
}

class GradientReducerTest : public ::testing::TestWithParam<int> {};

TEST_P(GradientReducerTest, SumsOverRanksAndMicroBatches) {
  const int size = GetParam();
  EISBACH_EXPECT_OK(OnRanks(size, [&](comm::World& world) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(auto stage,
                             Stage::Make(world.device().compute_stream()));
    EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer, MakeReducer(*stage, world));
    for (int step = 1; step <= 3; ++step) {
      EISBACH_RETURN_IF_ERROR(reducer->BeginStep(/*micro_batches=*/2));
      for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
        for (int i = kParameters - 1; i >= 0; --i) {
          EISBACH_RETURN_IF_ERROR(Contribute(
              (*stage)[i],
              static_cast<float>(step * (i + 1) * (world.rank() + 1))));
        }
      }
      EISBACH_RETURN_IF_ERROR(reducer->Finish());
      for (int i = 0; i < kParameters; ++i) {
        EXPECT_THAT(test::ToDoubles((*stage)[i].grad()),
                    Each(2 * step * (i + 1) * size * (size + 1) / 2));
      }
    }
    EXPECT_EQ(world.communicator().stats().calls, size == 1 ? 0 : 3 * 3);
    return absl::OkStatus();
  }));
}

// Ranks whose backward fills parameters in different orders agree.
TEST_P(GradientReducerTest, RanksMayFillInAnyOrder) {
  const int size = GetParam();
  EISBACH_EXPECT_OK(OnRanks(size, [&](comm::World& world) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(auto stage,
                             Stage::Make(world.device().compute_stream()));
    EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer, MakeReducer(*stage, world));
    EISBACH_RETURN_IF_ERROR(reducer->BeginStep(1));
    for (int i = 0; i < kParameters; ++i) {
      const int p = (i * 5 + world.rank()) % kParameters;
      EISBACH_RETURN_IF_ERROR(
          Contribute((*stage)[p], static_cast<float>(p + 1)));
    }
    EISBACH_RETURN_IF_ERROR(reducer->Finish());
    for (int i = 0; i < kParameters; ++i) {
      EXPECT_THAT(test::ToDoubles((*stage)[i].grad()), Each((i + 1) * size));
    }
    return absl::OkStatus();
  }));
}

// A parameter that a rank never wrote, or nobody did, counts as zero.
TEST_P(GradientReducerTest, GradientsNeverWrittenAreZero) {
  const int size = GetParam();
  EISBACH_EXPECT_OK(OnRanks(size, [&](comm::World& world) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(auto stage,
                             Stage::Make(world.device().compute_stream()));
    EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer, MakeReducer(*stage, world));
    for (auto& parameter : stage->parameters) {
      std::fill_n(parameter->grad().data<float>(), kElements, NAN);
    }
    EISBACH_RETURN_IF_ERROR(reducer->BeginStep(1));
    if (world.rank() == 0) {
      EISBACH_RETURN_IF_ERROR(Contribute((*stage)[4], 7));
    }
    EISBACH_RETURN_IF_ERROR(reducer->Finish());
    for (int i = 0; i < kParameters; ++i) {
      EXPECT_THAT(test::ToDoubles((*stage)[i].grad()), Each(i == 4 ? 7 : 0));
    }
    return absl::OkStatus();
  }));
}

INSTANTIATE_TEST_SUITE_P(Ranks, GradientReducerTest,
                         ::testing::Values(1, 2, 3, 4));

// Runs `body` on two ranks that both have a stage and a reducer.
void OnTwo(const std::function<absl::Status(Stage&, GradientReducer&,
                                            comm::World&)>& body,
           const std::function<ParameterUses(Stage&)>& uses = nullptr) {
  EISBACH_EXPECT_OK(OnRanks(2, [&](comm::World& world) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(auto stage,
                             Stage::Make(world.device().compute_stream()));
    EISBACH_ASSIGN_OR_RETURN(
        ReducerPtr reducer,
        MakeReducer(*stage, world,
                    uses == nullptr ? ParameterUses() : uses(*stage)));
    return body(*stage, *reducer, world);
  }));
}

TEST(GradientReducerOverlap, ABucketStartsWhenItIsFull) {
  OnTwo([](Stage& stage, GradientReducer& reducer, comm::World& world) {
    const auto calls = [&] { return world.communicator().stats().calls; };
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(2));
    for (int i = kParameters - 1; i >= 0; --i) {
      EISBACH_RETURN_IF_ERROR(Contribute(stage[i], 1));
    }
    EXPECT_EQ(calls(), 0);  // the first of two micro-batches
    for (int i = kParameters - 1; i >= 0; --i) {
      EISBACH_RETURN_IF_ERROR(Contribute(stage[i], 1));
      EXPECT_EQ(calls(), (kParameters - i) / 2);
    }
    EISBACH_RETURN_IF_ERROR(reducer.Finish());
    EXPECT_EQ(calls(), 3);
    return absl::OkStatus();
  });
}

TEST(GradientReducerOverlap, BucketsStartInIndexOrder) {
  OnTwo([](Stage& stage, GradientReducer& reducer, comm::World& world) {
    const auto calls = [&] { return world.communicator().stats().calls; };
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
    for (int i : {0, 1, 2, 3, 5}) {
      EISBACH_RETURN_IF_ERROR(Contribute(stage[i], 1));
      EXPECT_EQ(calls(), 0);  // bucket 0 is not full
    }
    EISBACH_RETURN_IF_ERROR(Contribute(stage[4], 1));
    EXPECT_EQ(calls(), 3);
    return reducer.Finish();
  });
}

TEST(GradientReducerOverlap, ATiedParameterWaitsForAllItsUses) {
  OnTwo(
      [](Stage& stage, GradientReducer& reducer, comm::World& world) {
        const auto calls = [&] { return world.communicator().stats().calls; };
        EISBACH_RETURN_IF_ERROR(reducer.BeginStep(2));
        for (int use = 1; use <= 4; ++use) {
          if (use <= 2) EISBACH_RETURN_IF_ERROR(Contribute(stage[4], 1));
          EISBACH_RETURN_IF_ERROR(Contribute(stage[5], 1));
          EXPECT_EQ(calls(), use == 4 ? 1 : 0);
        }
        EISBACH_RETURN_IF_ERROR(reducer.Finish());
        EXPECT_THAT(test::ToDoubles(stage[5].grad()), Each(8));
        return absl::OkStatus();
      },
      [](Stage& stage) {
        return ParameterUses{{&stage[5], 2}};
      });
}

TEST(GradientReducerOverlap, AParameterWithoutUsesHoldsNothingUp) {
  OnTwo(
      [](Stage& stage, GradientReducer& reducer, comm::World& world) {
        EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
        EISBACH_RETURN_IF_ERROR(Contribute(stage[4], 1));
        EXPECT_EQ(world.communicator().stats().calls, 1);
        return reducer.Finish();
      },
      [](Stage& stage) {
        return ParameterUses{{&stage[5], 0}};
      });
}

TEST(GradientReducerOverlap, TooManyContributionsAreAnError) {
  OnTwo([](Stage& stage, GradientReducer& reducer, comm::World&) {
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
    EISBACH_RETURN_IF_ERROR(Contribute(stage[2], 1));
    EXPECT_THAT(Contribute(stage[2], 1),
                test::StatusIs(absl::StatusCode::kFailedPrecondition,
                               "p2: more gradients in a step than its 1 uses"));
    return reducer.Finish();
  });
}

TEST(GradientReducerOverlap, CountsTheTimeThatItWaits) {
  OnTwo([](Stage& stage, GradientReducer& reducer, comm::World& world) {
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
    EXPECT_EQ(reducer.exposed_seconds(), 0);
    if (world.rank() == 1) absl::SleepFor(absl::Milliseconds(100));
    for (int i = kParameters - 1; i >= 0; --i) {
      EISBACH_RETURN_IF_ERROR(Contribute(stage[i], 1));
    }
    EISBACH_RETURN_IF_ERROR(reducer.Finish());
    if (world.rank() == 0) {
      EXPECT_GT(reducer.exposed_seconds(), 0.05);
    }
    const double first = reducer.exposed_seconds();
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
    EISBACH_RETURN_IF_ERROR(reducer.Finish());
    EXPECT_GE(reducer.exposed_seconds(), first);
    return absl::OkStatus();
  });
}

// A rank that fails releases the others from Finish.
TEST(GradientReducerFailure, AFailedRankIsHeardOf) {
  const absl::Status status =
      OnRanks(2, [](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(auto stage,
                                 Stage::Make(world.device().compute_stream()));
        EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer,
                                 MakeReducer(*stage, world));
        EISBACH_RETURN_IF_ERROR(reducer->BeginStep(1));
        if (world.rank() == 1) return absl::InternalError("rank 1 broke");
        const absl::Status finished = reducer->Finish();
        EXPECT_FALSE(finished.ok());
        return finished;
      });
  EXPECT_THAT(status,
              test::StatusIs(absl::StatusCode::kInternal, "rank 1 broke"));
}

TEST(GradientReducerLife, LetsGoOfItsParameters) {
  EISBACH_EXPECT_OK(OnRanks(1, [](comm::World& world) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(auto stage,
                             Stage::Make(world.device().compute_stream()));
    EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer, MakeReducer(*stage, world));
    EISBACH_RETURN_IF_ERROR(reducer->BeginStep(1));
    reducer.reset();
    EISBACH_RETURN_IF_ERROR(Contribute((*stage)[0], 1));
    return Contribute((*stage)[0], 1);  // nobody counts
  }));
}

TEST(GradientReducerMeta, RecordsWithoutMemory) {
  auto world = test::Value(comm::SimWorld(0, 8, DeviceType::kMeta));
  auto stage = test::Value(Stage::Make(world->device().compute_stream()));
  ReducerPtr reducer = test::Value(MakeReducer(*stage, *world));
  EISBACH_ASSERT_OK(reducer->BeginStep(1));
  for (auto& parameter : stage->parameters) {
    EISBACH_ASSERT_OK(parameter->GradientWritten());
  }
  EISBACH_ASSERT_OK(reducer->Finish());
  EXPECT_EQ(world->communicator().stats().calls, 3);
}

}  // namespace
}  // namespace eisbach::parallel
