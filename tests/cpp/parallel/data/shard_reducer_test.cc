#include "parallel/data/shard_reducer.h"

#include "cpp/parallel/data/reducer_testing.h"

namespace eisbach::parallel::shard_reducer_test {
namespace {

using ::testing::Each;

// Runs `body` on two ranks that divide gradients.
void OnTwo(const std::function<absl::Status(Stage&, GradientSum&)>& body) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      2, DeviceType::kCpu, /*threads=*/1,
      [&](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(
            auto stage,
            Stage::Make(world.device().compute_stream(), DivisionOf(world, 2)));
        EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer,
                                 MakeReducer(*stage, world));
        return body(*stage, *reducer);
      }));
}

TEST(ShardReducer, ABucketHasMemoryWhileItIsFilled) {
  OnTwo([](Stage& stage, GradientSum& reducer) -> absl::Status {
    const auto there = [&](int i) { return stage[i].grad().defined(); };
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(2));
    for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
      EXPECT_FALSE(there(5));
      EISBACH_RETURN_IF_ERROR(stage.Contribute(5, 1));
      EXPECT_TRUE(there(5) && there(4));
      EXPECT_FALSE(there(3));
      EISBACH_RETURN_IF_ERROR(stage.Contribute(4, 1));
      EXPECT_FALSE(there(5) || there(4));
      for (int i = 3; i >= 0; --i) {
        EISBACH_RETURN_IF_ERROR(stage.Contribute(i, 1));
      }
    }
    return reducer.Finish();
  });
}

// Some hear of the second micro-batch before others have heard of the first, as
// where weight gradients wait.
TEST(ShardReducer, MicroBatchesMayOverlap) {
  OnTwo([](Stage& stage, GradientSum& reducer) -> absl::Status {
    for (int step = 0; step < 2; ++step) {
      EISBACH_RETURN_IF_ERROR(reducer.BeginStep(3));
      for (int micro_batch = 0; micro_batch < 3; ++micro_batch) {
        for (const int i : {0, 2, 4}) {
          EISBACH_RETURN_IF_ERROR(
              stage.Contribute(i, static_cast<float>(1 + micro_batch)));
        }
      }
      for (int micro_batch = 0; micro_batch < 3; ++micro_batch) {
        for (const int i : {5, 1, 3}) {
          EISBACH_RETURN_IF_ERROR(
              stage.Contribute(i, static_cast<float>(1 + micro_batch)));
        }
      }
      EISBACH_RETURN_IF_ERROR(reducer.Finish());
      for (int i = 0; i < kParameters; ++i) {
        EXPECT_THAT(test::ToDoubles(stage[i].reduced()), Each(2 * 6));
      }
    }
    return absl::OkStatus();
  });
}

TEST(ShardReducer, GapsStayZero) {
  OnTwo([](Stage& stage, GradientSum& reducer) -> absl::Status {
    for (int step = 0; step < 3; ++step) {
      EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
      for (int i = kParameters - 1; i >= 0; --i) {
        EISBACH_RETURN_IF_ERROR(stage.Contribute(i, NAN));
      }
      EISBACH_RETURN_IF_ERROR(reducer.Finish());
    }
    for (const FlatBucket& bucket : stage.buffer->buckets()) {
      const std::vector<double> values = test::ToDoubles(bucket.reduced);
      for (size_t i = 0; i < values.size(); ++i) {
        const int64_t at = bucket.own.begin + static_cast<int64_t>(i);
        EXPECT_EQ(std::isnan(values[i]), at % 128 < kElements) << at;
      }
    }
    return absl::OkStatus();
  });
}

// What bf16 cannot hold is rounded before it is summed, and the sum is not.
TEST(ShardReducer, SumsInF32WhatTravelsInBf16) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      3, DeviceType::kCpu, /*threads=*/1,
      [&](comm::World& world) -> absl::Status {
        Stream& stream = world.device().compute_stream();
        EISBACH_ASSIGN_OR_RETURN(auto stage,
                                 Stage::Make(stream, DivisionOf(world, 2)));
        EISBACH_ASSIGN_OR_RETURN(
            auto reducer,
            ShardReducer::Make(*stage->buffer, world.communicator(), {}, stream,
                               /*replicas=*/nullptr, DType::kBF16));
        // 1 + 1/128 is in bf16, 1 + 1/512 becomes 1, and 2 + 1/128 is not.
        const float mine[] = {1 + 1.0f / 128, 1 + 1.0f / 512, 1 + 1.0f / 512};
        EISBACH_RETURN_IF_ERROR(reducer->BeginStep(2));
        for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
          for (int i = kParameters - 1; i >= 0; --i) {
            EISBACH_RETURN_IF_ERROR(stage->Contribute(i, mine[world.rank()]));
          }
        }
        EISBACH_RETURN_IF_ERROR(reducer->Finish());
        for (int i = 0; i < kParameters; ++i) {
          EXPECT_THAT(test::ToDoubles((*stage)[i].reduced()),
                      Each(2 * (3 + 1.0 / 128)));
        }
        return absl::OkStatus();
      }));
}

TEST(ShardReducer, MoreThanWasSaidIsAnError) {
  OnTwo([](Stage& stage, GradientSum& reducer) -> absl::Status {
    EISBACH_RETURN_IF_ERROR(reducer.BeginStep(1));
    EISBACH_RETURN_IF_ERROR(stage.Contribute(3, 1));
    EXPECT_EQ(stage.Contribute(3, 1).message(),
              "p3: more gradients in a step than its 1 uses per micro-batch");
    EXPECT_FALSE(reducer.BeginStep(0).ok());
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace eisbach::parallel::shard_reducer_test
