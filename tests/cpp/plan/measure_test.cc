#include "plan/measure.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "plan/record.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::plan::measure_test {
namespace {

train::EngineConfig Config() {
  train::EngineConfig config = test::ToyConfig("qwen3");  // it copies
  config.model.layers = 1;
  config.global_batch = 2;
  return config;
}

TEST(MeasureTest, AStepHasTheOpsThatArePlanned) {
  std::mutex mutex;
  std::vector<StepSample> steps;
  EISBACH_ASSERT_OK(comm::RunLocalRanks(
      2, DeviceType::kCpu, /*threads=*/1,
      [&](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(StepSample step, MeasureStep(world, Config()));
        const std::lock_guard<std::mutex> lock(mutex);
        steps.push_back(std::move(step));
        return absl::OkStatus();
      }));
  const WorkRecord record = test::Value(
      RecordSteps(Config(), test::Value(test::MeshOf({})), /*rank=*/0));
  ASSERT_EQ(steps.size(), 2u);
  for (const StepSample& step : steps) {
    // What meta tells of, but for copies and zeros that no kernel makes.
    size_t op = 0, moves = 0;
    for (const Work& work : record.work) {
      if (work.kind == Work::Kind::kStepEnd) break;
      if (work.kind != Work::Kind::kOp) continue;
      const std::string& name = record.name(work);
      if (op < step.ops.size() && step.ops[op].name == name &&
          step.ops[op].cost.bytes_written == work.op.bytes_written) {
        EXPECT_EQ(step.ops[op].cost.flops, work.op.flops);
        EXPECT_GE(step.ops[op].seconds, 0);
        // Means, the same on all ranks.
        EXPECT_EQ(step.ops[op].seconds, steps[0].ops[op].seconds);
        ++op;
        continue;
      }
      EXPECT_TRUE(name == "copy" || name == "set_zero") << name;
      ++moves;
    }
    EXPECT_EQ(op, step.ops.size());
    EXPECT_EQ(moves, step.moves.size());
    EXPECT_GT(step.rest, 0);
    EXPECT_GE(step.spread, 0);
  }
}

TEST(MeasureTest, MovesAndCollectivesComeInSizes) {
  EISBACH_ASSERT_OK(comm::RunLocalRanks(
      2, DeviceType::kCpu, /*threads=*/1,
      [&](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const auto moves, MeasureMoves(world));
        for (const OpSample& move : moves) EXPECT_GT(move.seconds, 0);
        EXPECT_EQ(moves.front().name, "copy");
        EXPECT_GT(moves.back().cost.bytes_written, 1e7);
        EISBACH_ASSIGN_OR_RETURN(const auto calls, MeasureCollectives(world));
        std::set<std::pair<std::string, bool>> kinds;
        for (const CollectiveSample& call : calls) {
          EXPECT_GT(call.seconds, 0);
          EXPECT_EQ(call.ranks, 2);
          kinds.insert({call.name, call.shared});
        }
        EXPECT_EQ(kinds.size(), 9u);
        return absl::OkStatus();
      }));
}

TEST(MeasureTest, AloneThereAreNoCollectives) {
  EISBACH_ASSERT_OK(comm::RunLocalRanks(
      1, DeviceType::kCpu, /*threads=*/1,
      [&](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const auto calls, MeasureCollectives(world));
        EXPECT_TRUE(calls.empty());
        train::EngineConfig wrong = Config();
        wrong.micro_batch = 3;
        EXPECT_EQ(MeasureStep(world, wrong).status().code(),
                  absl::StatusCode::kInvalidArgument);
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::plan::measure_test
