#include "parallel/data/reducer.h"

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cpp/parallel/data/reducer_testing.h"

namespace eisbach::parallel::reducer_test {
namespace {

using ::testing::Each;

absl::Status OnRanks(int size,
                     const std::function<absl::Status(comm::World&)>& body) {
  return comm::RunLocalRanks(size, DeviceType::kCpu, /*threads=*/1, body);
}

// Ranks, and what they divide.
class GradientReducerTest
    : public ::testing::TestWithParam<std::tuple<int, int>> {
 protected:
  static void Run(const std::function<absl::Status(comm::World&, int)>& body) {
    const auto [ranks, zero] = GetParam();
    EISBACH_EXPECT_OK(OnRanks(ranks, [&, zero = zero](comm::World& world) {
      return body(world, zero);
    }));
  }
};

TEST_P(GradientReducerTest, SumsOverRanksAndMicroBatches) {
  Run(&SumsOverRanksAndMicroBatches);
}
TEST_P(GradientReducerTest, RanksMayFillInAnyOrder) {
  Run(&RanksMayFillInAnyOrder);
}
TEST_P(GradientReducerTest, GradientsNeverWrittenAreZero) {
  Run(&GradientsNeverWrittenAreZero);
}
TEST_P(GradientReducerTest, NothingToSumEnds) { Run(&NothingToSumEnds); }

INSTANTIATE_TEST_SUITE_P(Ranks, GradientReducerTest,
                         ::testing::Combine(::testing::Values(1, 2, 3, 4),
                                            ::testing::Values(0, 1, 2)));

// Runs `body` on two ranks that both have a stage and a reducer.
void OnTwo(
    const std::function<absl::Status(Stage&, GradientSum&, comm::World&)>& body,
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
  OnTwo([](Stage& stage, GradientSum& reducer, comm::World& world) {
    const auto calls = [&] { return world.communicator().stats().calls; };
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(2));
    for (int i = kParameters - 1; i >= 0; --i) {
      EISBACH_RETURN_IF_ERROR(stage.Contribute(i, 1));
    }
    EXPECT_EQ(calls(), 0);  // the first of two micro-batches
    for (int i = kParameters - 1; i >= 0; --i) {
      EISBACH_RETURN_IF_ERROR(stage.Contribute(i, 1));
      EXPECT_EQ(calls(), (kParameters - i) / 2);
    }
    EISBACH_RETURN_IF_ERROR(reducer.Finish());
    EXPECT_EQ(calls(), 3);
    return absl::OkStatus();
  });
}

TEST(GradientReducerOverlap, BucketsStartInIndexOrder) {
  OnTwo([](Stage& stage, GradientSum& reducer, comm::World& world) {
    const auto calls = [&] { return world.communicator().stats().calls; };
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
    for (int i : {0, 1, 2, 3, 5}) {
      EISBACH_RETURN_IF_ERROR(stage.Contribute(i, 1));
      EXPECT_EQ(calls(), 0);  // bucket 0 is not full
    }
    EISBACH_RETURN_IF_ERROR(stage.Contribute(4, 1));
    EXPECT_EQ(calls(), 3);
    return reducer.Finish();
  });
}

TEST(GradientReducerOverlap, ATiedParameterWaitsForAllItsUses) {
  OnTwo(
      [](Stage& stage, GradientSum& reducer, comm::World& world) {
        const auto calls = [&] { return world.communicator().stats().calls; };
        EISBACH_RETURN_IF_ERROR(reducer.BeginStep(2));
        for (int use = 1; use <= 4; ++use) {
          if (use <= 2) EISBACH_RETURN_IF_ERROR(stage.Contribute(4, 1));
          EISBACH_RETURN_IF_ERROR(stage.Contribute(5, 1));
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
      [](Stage& stage, GradientSum& reducer, comm::World& world) {
        EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
        EISBACH_RETURN_IF_ERROR(stage.Contribute(4, 1));
        EXPECT_EQ(world.communicator().stats().calls, 1);
        return reducer.Finish();
      },
      [](Stage& stage) {
        return ParameterUses{{&stage[5], 0}};
      });
}

TEST(GradientReducerOverlap, TooManyContributionsAreAnError) {
  OnTwo([](Stage& stage, GradientSum& reducer, comm::World&) {
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
    EISBACH_RETURN_IF_ERROR(stage.Contribute(2, 1));
    EXPECT_THAT(stage.Contribute(2, 1),
                test::StatusIs(absl::StatusCode::kFailedPrecondition,
                               "p2: more gradients in a step than its 1 uses"));
    return reducer.Finish();
  });
}

TEST(GradientReducerOverlap, CountsTheTimeThatItWaits) {
  OnTwo([](Stage& stage, GradientSum& reducer, comm::World& world) {
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
    EXPECT_EQ(reducer.exposed_seconds(), 0);
    if (world.rank() == 1) absl::SleepFor(absl::Milliseconds(100));
    for (int i = kParameters - 1; i >= 0; --i) {
      EISBACH_RETURN_IF_ERROR(stage.Contribute(i, 1));
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
    EISBACH_RETURN_IF_ERROR(stage->Contribute(0, 1));
    return stage->Contribute(0, 1);  // nobody counts
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
}  // namespace eisbach::parallel::reducer_test
