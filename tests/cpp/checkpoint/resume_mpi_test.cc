// Save and load among processes: each has only its own memory.

#include "checkpoint/agree.h"
#include "checkpoint/folder.h"
#include "core/threads.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/mpi_world.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::resume_mpi_test {
namespace {

using Losses = std::vector<double>;

absl::Status TrainTo(int step, train::Engine& engine, Losses& losses) {
  while (engine.update().step() < step) {
    EISBACH_ASSIGN_OR_RETURN(const train::StepResult result,
                             test::ToyStep(engine));
    losses.push_back(result.loss);
    losses.push_back(result.grad_norm);
  }
  return absl::OkStatus();
}

void ExpectResumesBitwise(const test::Layout& layout, const std::string& root) {
  SCOPED_TRACE(layout.ToString());
  const train::EngineConfig config = test::SmallConfig("llama");
  comm::World& world = TestWorld();
  Losses unbroken, resumed;
  std::string want, got, path;
  EISBACH_ASSERT_OK(test::WithEngine(
      world, layout, config, [&](train::Engine& engine) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(TrainTo(2, engine, unbroken));
        EISBACH_ASSIGN_OR_RETURN(path, test::SaveEngine(root, engine));
        EISBACH_RETURN_IF_ERROR(TrainTo(4, engine, unbroken));
        want = test::BytesOf(engine);
        return absl::OkStatus();
      }));
  EISBACH_ASSERT_OK(test::WithEngine(
      world, layout, config, [&](train::Engine& engine) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(test::LoadEngine(path, engine));
        EISBACH_RETURN_IF_ERROR(TrainTo(4, engine, resumed));
        got = test::BytesOf(engine);
        return absl::OkStatus();
      }));
  EXPECT_EQ(got, want);
  EXPECT_EQ(resumed, Losses(unbroken.begin() + 4, unbroken.end()));
}

TEST(ResumeMpi, IsBitwiseTheUnbrokenRun) {
  SetComputeThreads(1);
  comm::World& world = TestWorld();
  Stream& stream = world.device().compute_stream();
  const test::TempFolder temp;  // rank 0's is used
  EISBACH_ASSERT_OK_AND_ASSIGN(
      const std::vector<std::string> roots,
      GatherText(temp.path(), world.communicator(), stream));
  for (const test::Layout& layout : test::Factorings(world.size())) {
    ExpectResumesBitwise(layout, roots[0] + "/" + layout.ToString());
  }
  EISBACH_EXPECT_OK(world.communicator().Barrier(stream));
}

TEST(GatherMpi, GivesTheValuesOfOneRank) {
  SetComputeThreads(1);
  comm::World& world = TestWorld();
  const train::EngineConfig config = test::SmallConfig("gpt");
  std::vector<LogicalTensor> want;
  EISBACH_ASSERT_OK(test::OnEngines(
      {}, config, [&](train::Engine& engine, int) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(
            want, GatherParameters(engine.update().parameters(),
                                   ParameterValue::kMaster, engine.context()));
        return absl::OkStatus();
      }));
  for (const test::Layout& layout : test::Factorings(world.size())) {
    EISBACH_ASSERT_OK(test::WithEngine(
        world, layout, config, [&](train::Engine& engine) -> absl::Status {
          EISBACH_ASSIGN_OR_RETURN(
              const std::vector<LogicalTensor> got,
              GatherParameters(engine.update().parameters(),
                               ParameterValue::kMaster, engine.context()));
          EXPECT_EQ(got.size(), world.rank() == 0 ? want.size() : 0);
          for (size_t i = 0; i < got.size(); ++i) {
            EXPECT_EQ(got[i].name, want[i].name);
            EXPECT_EQ(got[i].values, want[i].values) << got[i].name;
          }
          return absl::OkStatus();
        }));
  }
}

}  // namespace
}  // namespace eisbach::checkpoint::resume_mpi_test
